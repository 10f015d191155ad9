"""Files that people name on a command line: links are followed, and pipes are read.

Decides that nothing waits for ever at a pipe that nobody writes into, and that no more is
read than is asked for. What a file has to hold, and what is said of one that cannot be
read, is its reader's.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from pathlib import Path

PIPE_SECONDS = 3.0  # for somebody to open a named pipe for writing
LOOK_SECONDS = 0.05
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_head(path: Path, most: int) -> bytes:
    """Return what a file, a pipe or a device holds, at most `most` bytes of it; OSError."""
    descriptor = os.open(path, FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        first = _first_byte(descriptor, path) if pipe else b""
        os.set_blocking(descriptor, True)
        return first + file.read(most - len(first))


def lies_in(path: Path, folder: Path) -> bool:
    """Tell whether `path` would stand in `folder`, links followed; links in a ring lead nowhere.

    Path.resolve() raises RuntimeError for those, before Python 3.13.
    """
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _first_byte(descriptor: int, path: Path) -> bytes:
    """Return a pipe's first byte, none where its writer is not done and says nothing yet."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    until = time.monotonic() + PIPE_SECONDS
    while True:
        try:
            byte = os.read(descriptor, 1)
        except BlockingIOError:  # somebody has it open; a read waits for what they say
            return b""
        if byte or poll.poll(0):  # POLLHUP: a writer came and went
            return byte
        if time.monotonic() > until:
            raise OSError(errno.EPIPE, "nobody writes into this pipe", str(path))
        time.sleep(LOOK_SECONDS)
