"""What one run of a program costs: wall clock, processor time and peak memory of it alone.

Decides how the three are told apart from those of the program that asks. It refuses to know
what is run. Sources: wait4(2), getrusage(2), PR_SET_CHILD_SUBREAPER in prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SET_CHILD_SUBREAPER = 36
# Linux counts the memory of the process that forked as the peak of the one that was started,
# so a shell of 1 MiB starts the program and leaves it to us.
LEAVE = 'exec </dev/null >/dev/null 2>"$0"; "$@" &'


class Failed(Exception):
    """A program that was to be measured did not succeed; its own words say why."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock, seconds of processor (user and system), peak memory in MiB."""

    wall: float
    cpu: float
    peak: float


def adopt_orphans() -> None:
    """Make this process the parent of what its children leave behind; once, before `measure`."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def measure(command: tuple[str, ...], environment: Mapping[str, str]) -> Cost:
    """Run a command to its end and return its cost; raises Failed unless it succeeds.

    The wall clock includes the start of the shell, about a millisecond, for everyone alike.
    """
    with tempfile.NamedTemporaryFile(prefix="bench-") as said:
        words = ("sh", "-c", LEAVE, said.name, *command)
        began = time.perf_counter()
        os.waitpid(os.posix_spawn("/bin/sh", words, {**os.environ, **environment}), 0)
        _, status, used = os.wait4(-1, 0)
        wall = time.perf_counter() - began
        if status != 0:
            text = Path(said.name).read_text("utf-8", errors="replace").strip()
            code = os.waitstatus_to_exitcode(status)
            raise Failed(f"{' '.join(command)}: exit status {code}: {text[-500:]}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
