"""opencryptoki's soft token: its daemon and its folders in namespaces that the module enters.

The paths of both are compiled in; `enter.c` is the module that is loaded, and goes there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tokens.brought import LIMITS, PIN, SO_PIN, Brought, init_key
from tokens.daemons import library, needed, needed_file, running, short_folder

from hsm.binding import Binding

URI = "pkcs11:token=uki-token"
_MODULES = library("libopencryptoki.so")
_CONFIGURATION = "version opencryptoki-3.1\nslot 3\n{\nstdll = libpkcs11_sw.so\n}\n"
_SOURCE = Path(__file__).with_name("enter.c")


@contextmanager
def _daemon(folder: Path) -> Iterator[Binding]:
    """Run the daemon on the token in `folder`; yield the binding that reaches it."""
    if os.geteuid() != 0:
        pytest.skip("pkcsslotd (opencryptoki) runs for root only")
    program = needed("pkcsslotd", package="opencryptoki")
    module = needed_file(_MODULES, package="opencryptoki")
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    (run / "lock" / "opencryptoki").mkdir(parents=True)
    for name in ("token/swtok/TOK_OBJ", "log", "etc"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "etc" / "opencryptoki.conf").write_text(_CONFIGURATION)
    for path in (run / "lock", folder / "token", folder / "log"):
        for one in (path, *path.rglob("*")):
            shutil.chown(one, "root", "pkcs11")
            one.chmod(0o770)
    binds = (
        (run, "/run"),
        (folder / "token", "/var/lib/opencryptoki"),
        (folder / "log", "/var/log"),
        (folder / "etc", "/etc/opencryptoki"),
    )
    ready = run / "pkcsslotd.socket"
    with running(
        (program, "-f"), folder, ready.exists, binds=binds, apart=("pid", "net", "ipc")
    ) as daemon:
        environment = (("ENTER_PID", str(_inside(daemon.pid))), ("ENTER_REAL", str(module)))
        yield Binding(folder / "enter.so", environment, LIMITS)


def _inside(outer: int) -> int:
    """Return the first process in bubblewrap's namespaces."""
    children = Path(f"/proc/{outer}/task/{outer}/children").read_text("ascii").split()
    return int(children[0])


def make_opencryptoki(made: Path) -> dict[str, bytes]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: opencryptoki cannot be reached in its namespaces")
    with short_folder() as folder:
        built = str(folder / "enter.so")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-o", built, str(_SOURCE), "-ldl"], check=True
        )
        with _daemon(folder) as binding:
            tool = (needed("pkcs11-tool", package="opensc"), "--module", str(binding.module))
            so = ("--slot", "3", "--so-pin", SO_PIN)
            first = ("--init-token", "--label", "uki-token")
            then = ("--login", "--login-type", "so", "--init-pin", "--pin", PIN)
            for words in (first, then):
                command, environment = (*tool, *so, *words), dict(binding.environment)
                subprocess.run(command, env=environment, capture_output=True, check=True)
            done = {"rsa": init_key(binding, URI, "rsa2048", folder)}
        for name in ("token", "enter.so"):
            copy = shutil.copytree if (folder / name).is_dir() else shutil.copy
            copy(folder / name, made / name)
    return done


@contextmanager
def bring_opencryptoki(made: Path, _folder: Path) -> Iterator[Brought]:
    with short_folder() as folder, ExitStack() as power:
        shutil.copytree(made, folder, dirs_exist_ok=True)
        brought = Brought(
            "opencryptoki",
            power.enter_context(_daemon(folder)),
            URI,
            power.close,
            lambda: None,
            flags=("count-low", "final-try", "locked"),
            locks=True,
            notices=False,
        )

        def insert() -> None:
            brought.binding = power.enter_context(_daemon(folder))

        brought.insert = insert
        yield brought
