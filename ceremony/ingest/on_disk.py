"""A large file that is looked at where it lies, part by part, and must stay what it was.

Decides nothing but that: every part is read from a regular file with the size and the times that
it had when it was first seen (MED-CHANGED), so that a file which grows, shrinks or is written to
between two looks is refused. For files whose bytes are needed once, such as an output whose
digest is compared; what is judged is copied (sealed_copy.py). OSError passes.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ceremony.errors import refuse
from ceremony.ingest.steady import FLAGS
from ceremony.show import escaped


class OnDisk:
    """A content that lies in a file; no descriptor is kept, as there may be many."""

    def __init__(self, path: Path) -> None:
        """Look at the file; MED-SPECIAL for anything but a regular one."""
        self._path = path
        self._shown = escaped(str(path), 4096)
        self._before = self._looked(self._path.lstat())

    def __len__(self) -> int:
        """Return the file's size when it was first seen."""
        return self._before[2]

    def part(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`; MED-CHANGED, MED-SPECIAL."""
        left = min(stop, len(self)) - start
        if left <= 0:
            return b""
        try:
            descriptor = os.open(self._path, FLAGS)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise refuse("MED-SPECIAL", f"{self._shown} is a link by now") from None
            raise
        try:
            data = os.pread(descriptor, left, start)  # read(2): all of it, but at the file's end
            now = self._looked(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        if now != self._before or len(data) < left:
            raise refuse("MED-CHANGED", f"{self._shown} is not what it was when reading began")
        return data

    def _looked(self, status: os.stat_result) -> tuple[int, ...]:
        """Return what tells a file from any other, and from itself at another time."""
        if not stat.S_ISREG(status.st_mode):
            raise refuse("MED-SPECIAL", f"{self._shown} is not a regular file")
        times = status.st_mtime_ns, status.st_ctime_ns
        return status.st_dev, status.st_ino, status.st_size, *times
