"""The one copy of an image: a file without a name in memory, which the kernel keeps as it is.

Decides that what is hashed, judged and signed are the same bytes: once sealed, no process can
write to the copy, cut it or let it grow, this one included (memfd_create(2), F_ADD_SEALS in
fcntl(2)). It is never mapped, so that this process stays small; its pages are the kernel's.
MED-MEMORY: a machine without the memory refuses before anything is copied. It refuses to know
what the bytes mean.
"""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

from ceremony.errors import MediaTrouble, refuse
from ceremony.ingest.feeding import feed
from ceremony.ingest.steady import FLAGS, SteadyFile
from ceremony.pe.headers import Bytes
from ceremony.pe.sweep import Sink
from ceremony.ports import Progress, Report
from ceremony.show import counted, escaped

RULE = "MED-MEMORY"
SLACK = 64 << 20  # bytes that this process and its children need besides
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
ROOT = Path("/")


class SealedCopy:
    """A content that cannot change any more; its memory is free again with the object."""

    def __init__(self, descriptor: int, size: int) -> None:
        """Take a memory file over, and seal it; OSError passes."""
        self._descriptor = descriptor
        self._size = size
        weakref.finalize(self, os.close, descriptor)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)

    def __len__(self) -> int:
        """Return how many bytes there are."""
        return self._size

    def fileno(self) -> int:
        """Return the descriptor, which nothing can be written to."""
        return self._descriptor

    def part(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`, fewer where the copy ends before."""
        left = min(stop, self._size) - start
        data = os.pread(self._descriptor, left, start) if left > 0 else b""
        while 0 < len(data) < left:
            data += os.pread(self._descriptor, left - len(data), start + len(data))
        return data


class _Writing:
    """A memory file that is being written, as a sink."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        try:
            self.descriptor = os.memfd_create("image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError as error:
            raise self.trouble(error) from None

    def update(self, chunk: Bytes) -> None:
        """Write the next bytes; MED-MEMORY."""
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError as error:
            raise self.trouble(error) from None

    def trouble(self, error: OSError) -> MediaTrouble:
        text = f"{self._shown} cannot be held in memory: {error.strerror or error}"
        return MediaTrouble(RULE, f"{text}; nothing was kept of it")


def sealed_copy(
    file: SteadyFile, report: Report, *hashers: Sink, root: Path = ROOT, what: str = ""
) -> SealedCopy:
    """Copy a file in one read that feeds `hashers` too; MED-MEMORY, MED-CHANGED, MED-GONE.

    `report` hears of the bytes of `what`, if that is named.
    """
    require_memory(file.size, file.shown, root)

    def chunks() -> Iterator[bytes]:
        done = 0
        for chunk in file.chunks():
            yield chunk
            done += len(chunk)
            if what:
                report(Progress(what, done, file.size, "bytes"))

    writing = _Writing(file.shown)
    try:
        feed(chunks(), hashers, (writing,))
    except BaseException:
        os.close(writing.descriptor)
        raise
    try:
        return SealedCopy(writing.descriptor, file.size)
    except OSError as error:
        raise writing.trouble(error) from None


def copy_file(path: Path, most: int) -> SealedCopy:
    """Copy a file whose digest tells what it is; MED-SPECIAL (a link, too), MED-SIZE besides."""
    shown = escaped(str(path), 4096)
    try:
        descriptor = os.open(path, FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise refuse("MED-SPECIAL", f"{shown} is a link, which is not followed") from None
        raise
    with SteadyFile(descriptor, shown, most, 0) as file:
        return sealed_copy(file, lambda _: None)


def require_memory(needed: int, shown: str, root: Path = ROOT) -> None:
    """MED-MEMORY: the machine has the memory for `needed` bytes, for `shown`, and some to spare."""
    available = memory_available(root)
    if available is not None and available < needed + SLACK:
        text = f"{shown} needs {counted(needed + SLACK)} of memory, {available:,} are free"
        raise MediaTrouble(RULE, text)


def memory_available(root: Path = ROOT) -> int | None:
    """Return how many bytes could be had without swapping (proc(5)), None where nobody says."""
    try:
        lines = (root / "proc/meminfo").read_text("ascii").splitlines()
        (line,) = (line for line in lines if line.startswith("MemAvailable:"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
