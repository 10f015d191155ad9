"""A TPM 2.0 as a token: swtpm behind tpm2-pkcs11, both reached through files in one folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tokens.brought import LIMITS, PIN, SO_PIN, Brought, init_key
from tokens.daemons import answers, library, needed, needed_file, running, short_folder

from hsm.binding import Binding

URI = "pkcs11:token=uki-token"
_MODULES = library("libtpm2_pkcs11.so.1") + library("libtpm2_pkcs11.so")
_TCTI = library("libtss2-tcti-swtpm.so.0")


def _binding(folder: Path) -> Binding:
    module = needed_file(_MODULES, package="libtpm2-pkcs11-1")
    needed_file(_TCTI, package="libtss2-tcti-swtpm0")
    environment = (
        ("TPM2_PKCS11_STORE", str(folder / "store")),
        ("TPM2_PKCS11_TCTI", f"swtpm:path={folder / 'tpm'}"),
    )
    return Binding(module, environment, LIMITS)


@contextmanager
def _powered(folder: Path) -> Iterator[None]:
    """Run the TPM on its state; it is gone at the end, the state stays."""
    tool, line = needed("swtpm", package="swtpm"), folder / "tpm"
    for name in ("tpm", "tpm.data", "tpm.ctrl"):
        (folder / name).unlink(missing_ok=True)
    relay = (sys.executable, "-I", str(Path(__file__).with_name("tpm_relay.py")))
    command = (
        *(*relay, str(line), f"{line}.data"),
        *(
            "setpriv",
            "--pdeathsig",
            "KILL",
            tool,
            "socket",
            "--tpm2",
            "--tpmstate",
            f"dir={folder / 'state'}",
        ),
        *("--server", f"type=unixio,path={line}.data", "--ctrl", f"type=unixio,path={line}.ctrl"),
        *("--flags", "not-need-init,startup-clear"),
    )
    with running(command, folder, lambda: answers(line), apart=("net",)):
        yield


def make_tpm(made: Path) -> dict[str, bytes]:
    with short_folder() as folder:
        binding = _binding(folder)
        (folder / "state").mkdir()
        (folder / "store").mkdir()
        tool = (needed("pkcs11-tool", package="opensc"), "--module", str(binding.module))
        first = ("--slot-index", "0", "--init-token", "--label", "uki-token", "--so-pin", SO_PIN)
        then = ("--token-label", "uki-token", "--init-pin", "--so-pin", SO_PIN, "--pin", PIN)
        with _powered(folder):
            for words in (first, then):
                environment = dict(binding.environment)
                command = (*tool, *words)
                subprocess.run(command, env=environment, capture_output=True, check=True)
            kinds = {"rsa": "rsa2048", "ec": "p256"}
            done = {kind: init_key(binding, URI, name, folder) for kind, name in kinds.items()}
            _shut_down(folder / "tpm")
        _copy(folder, made)
    return done


def _shut_down(line: Path) -> None:
    """Send TPM2_Shutdown (part 3, 9.4): a TPM counts a sudden end as a try (part 1, 19.8.6)."""
    with socket.socket(socket.AF_UNIX) as tpm:
        tpm.connect(str(line))
        tpm.sendall(bytes.fromhex("80010000000c000001450000"))
        assert tpm.recv(10)[6:] == bytes(4)


def _copy(source: Path, target: Path) -> None:
    for name in ("state", "store"):
        shutil.copytree(source / name, target / name)


@contextmanager
def bring_tpm(made: Path, _folder: Path) -> Iterator[Brought]:
    with short_folder() as folder, ExitStack() as power:
        _copy(made, folder)
        power.enter_context(_powered(folder))

        def insert() -> None:
            power.enter_context(_powered(folder))

        yield Brought("tpm", _binding(folder), URI, power.close, insert, locks=True)
