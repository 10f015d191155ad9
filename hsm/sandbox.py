"""Bubblewrap around the process that loads the vendor's module: what it sees and may write.

Decides the command line: the whole file system read-only, homes, mounted media and temporary
folders hidden, no network unless the binding says so, no capabilities. The module keeps the
devices and the sockets of the machine's own services, which tokens are reached through.
Refuses to know the module. Source: bwrap(1).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ceremony.errors import TokenTrouble

PROGRAM = "bwrap"
SEARCHED = "/usr/bin:/bin:/usr/local/bin"
# What a module has no business in: people's files, the ceremony's media and logs.
HIDDEN = ("/home", "/root", "/tmp", "/var/tmp", "/mnt", "/media", "/run/media", "/srv")  # noqa: S108 - nothing is put there
_SIGNAL_BASE = 128  # what a shell and bwrap add to the number of a signal


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a binding grants besides reading: the network, and folders the module writes to."""

    network: bool = False
    writable: tuple[Path, ...] = ()

    @property
    def described(self) -> str:
        """Return what stands in the evidence."""
        return "bubblewrap, with network" if self.network else "bubblewrap, no network"


def confined(command: tuple[str, ...], sandbox: Sandbox, needed: Iterable[Path]) -> tuple[str, ...]:
    """Return `command` as it is run inside the sandbox; `needed` is seen though it lies hidden.

    Raises TokenTrouble KEY-SANDBOX where bubblewrap is not installed.
    """
    program = shutil.which(PROGRAM, path=SEARCHED)
    if program is None:
        raise TokenTrouble("KEY-SANDBOX", "bubblewrap (bwrap) is not installed")
    line = [program, "--die-with-parent", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"]
    if not sandbox.network:
        line.append("--unshare-net")
    line += ["--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev"]
    for folder in hidden_folders():
        line += ["--tmpfs", folder]
    for path in dict.fromkeys((*needed, *_interpreter())):
        line += ["--ro-bind-try", str(path), str(path)]
    for path in sandbox.writable:
        line += ["--bind", str(path), str(path)]
    return (*line, "--chdir", "/", "--", *command)


def hidden_folders() -> tuple[str, ...]:
    """Return the folders that are empty in the sandbox, of those that this machine has."""
    return tuple(
        folder for folder in HIDDEN if Path(folder).is_dir() and not Path(folder).is_symlink()
    )


def ending_of(status: int) -> int:
    """Return an exit status as subprocess gives it: bwrap says 128 + n for signal n."""
    return _SIGNAL_BASE - status if status > _SIGNAL_BASE else status


def _interpreter() -> tuple[Path, ...]:
    """Return the folders that Python itself is run from."""
    return tuple(Path(folder) for folder in (sys.prefix, sys.base_prefix, sys.exec_prefix))
