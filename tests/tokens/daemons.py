"""Programs that a token needs beside its module, each in namespaces of its own.

Decides that nothing of them outlives the tests or touches the machine: bubblewrap ends them
with the process that started them, however that ends; the file system is read-only but for
one folder; `/run` and `/dev` are new and empty, so that no reader and no socket of the
machine's own is ever seen. Refuses to know what runs.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tokens.namespaces import is_no

_WAIT = 20.0
_ENDS_WITHIN = 2.0
_PREFIX = "uki-tokens-"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def needed(program: str, *, package: str) -> str:
    """Return a program's path, or skip the test by its name."""
    found = shutil.which(program, path=_PATH)
    if found is None:
        pytest.skip(f"{program} (Debian: {package}) is not installed")
    return found


def needed_file(paths: Sequence[str], *, package: str) -> Path:
    """Return the first file that is there, or skip the test by the package that lacks."""
    for path in paths:
        if Path(path).is_file():
            return Path(path)
    pytest.skip(f"{Path(paths[0]).name} (Debian: {package}) is not installed")


def library(name: str) -> tuple[str, ...]:
    """Return where distributions put a PKCS#11 module."""
    machine = ("x86_64-linux-gnu", "aarch64-linux-gnu")
    folders = (*(f"/usr/lib/{one}" for one in machine), "/usr/lib64", "/usr/lib")
    return tuple(f"{folder}{middle}/{name}" for folder in folders for middle in ("", "/pkcs11"))


@contextmanager
def short_folder() -> Iterator[Path]:
    """Yield a new folder whose path leaves room for a socket's name (107 characters in all).

    Those of test runs that were killed are removed first.
    """
    place = Path(tempfile.gettempdir())
    for old in place.glob(f"{_PREFIX}*"):
        process = old.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
        yield Path(folder)


@contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    ready: Callable[[], bool],
    *,
    binds: Sequence[tuple[Path, str]] = (),
    apart: Sequence[str] = ("pid", "net"),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon in the foreground; it may write to `folder` and to what is bound.

    `apart` are the namespaces of its own beside that of mounts; without "pid" the command has
    to see to its own children's end.
    """
    line = [needed("bwrap", package="bubblewrap"), "--die-with-parent"]
    line += [f"--unshare-{kind}" for kind in apart]
    # The machine's /proc stays, for a module that enters these namespaces from outside.
    line += ["--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/run"]
    line += ["--bind", str(folder), str(folder)]
    for source, target in binds:
        line += ["--bind", str(source), target]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [*line, "--", *command],
            env={"PATH": _PATH},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        _wait(process, ready, command[0], folder / "said")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(
    process: subprocess.Popen[bytes], ready: Callable[[], bool], name: str, said: Path
) -> None:
    end = time.monotonic() + _WAIT
    while not ready():
        if process.poll() is not None:
            text = said.read_text("utf-8", "replace").strip()
            if is_no(text):
                pytest.skip(f"no namespaces for {Path(name).name} here: {text}")
            pytest.fail(f"{name} ended with {process.returncode}: {text[-6000:]}")
        assert time.monotonic() < end, f"{name} is not ready: {said.read_text('utf-8')[-2000:]}"
        time.sleep(0.01)


def answers(path: Path) -> bool:
    """Say whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(str(path))
        except OSError:
            return False
    return True
