"""A file that is read once, from its beginning, and must hold still meanwhile.

What it is, is asked of the open descriptor: a regular file without holes, no larger than a
cap. A link to a file in its own folder is followed, one to elsewhere is refused by name: what
is signed is what was named. Size and times are compared again at the end, so that a file
which grows, shrinks or is written to while it is read is refused (MED-CHANGED).
Never mapped: a medium that is pulled out would end the process, and bytes could change
between hashing and copying.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ceremony.errors import MediaTrouble, Refused, refuse
from ceremony.show import counted, escaped

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
CHUNK = 1 << 20  # bytes; smaller ones cost more in handing on than they save in cache
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISSOCK, "a socket"),
)


class SteadyFile:
    """An open regular file of `size` bytes whose first `head` bytes are read already."""

    def __init__(self, descriptor: int, shown: str, most: int, head: int) -> None:
        """Take a descriptor over and look; MED-SPECIAL, MED-SIZE, MED-CHANGED, MED-GONE."""
        self.shown = shown
        self._descriptor = descriptor
        try:
            self._before = os.fstat(descriptor)
            self.size = self._before.st_size
            self._check(most)
            self.head = self._read(min(head, self.size), 0)
        except OSError as error:
            self.close()
            raise self._gone(error) from None
        except Refused:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes, the head first, each read once; MED-CHANGED, MED-GONE.

        The last chunk is yielded only when the file is still what it was when it was opened.
        """
        chunk = self.head
        at = len(chunk)
        try:
            while at < self.size:
                yield chunk
                chunk = self._read(min(CHUNK, self.size - at), at)
                at += len(chunk)
            self._check_unchanged()
        except OSError as error:
            raise self._gone(error) from None
        yield chunk

    def reread(self, count: int, at: int) -> bytes:
        """Return `count` bytes again as they stand in the file now; MED-CHANGED, MED-GONE."""
        try:
            return self._read(count, at)
        except OSError as error:
            raise self._gone(error) from None

    def require_no_hole(self) -> None:
        """MED-SPARSE: every byte of the file was written; MED-GONE."""
        try:
            hole = os.lseek(self._descriptor, 0, os.SEEK_HOLE) if self.size else 0
        except OSError as error:
            raise self._gone(error) from None
        if hole < self.size:
            text = f"{self.shown} is a sparse file: nothing was ever written at {hole:#x}"
            raise refuse("MED-SPARSE", text, hole)

    def _check(self, most: int) -> None:
        mode = self._before.st_mode
        if not stat.S_ISREG(mode):
            raise refuse("MED-SPECIAL", f"{self.shown} is {kind_of(mode)}, not a regular file")
        if self.size > most:
            text = f"{self.shown} has {counted(self.size)}, at most {counted(most)}"
            raise refuse("MED-SIZE", text)

    def _read(self, count: int, at: int) -> bytes:
        data = os.pread(self._descriptor, count, at)
        while len(data) < count:
            more = os.pread(self._descriptor, count - len(data), at + len(data))
            if not more:
                text = f"{self.shown} shrank from {counted(self.size)} to {at + len(data):,}"
                raise refuse("MED-CHANGED", text)
            data += more
        return data

    def _check_unchanged(self) -> None:
        now, then = os.fstat(self._descriptor), self._before
        if now.st_size != then.st_size:
            text = f"{self.shown} went from {counted(then.st_size)} to {now.st_size:,} while read"
            raise refuse("MED-CHANGED", text)
        if (now.st_mtime_ns, now.st_ctime_ns) != (then.st_mtime_ns, then.st_ctime_ns):
            raise refuse("MED-CHANGED", f"{self.shown} was written to while it was read")

    def _gone(self, error: OSError) -> MediaTrouble:
        return MediaTrouble("MED-GONE", f"{self.shown}: {error.strerror or error}")


def kind_of(mode: int) -> str:
    """Return what a file that is not a regular one is."""
    return next((name for is_so, name in KINDS if is_so(mode)), "of no kind that is known")


def open_steady(path: Path, most: int, head: int) -> SteadyFile:
    """Open a file that strangers may have put in place; MED-SPARSE beside what SteadyFile says."""
    shown = escaped(str(path), 4096)
    return open_itself(_followed(path, shown), shown, most, head)


def open_itself(path: Path | str, shown: str, most: int, head: int) -> SteadyFile:
    """Open a file that must be no link; else as `open_steady`. People see `shown`."""
    try:
        file = SteadyFile(os.open(path, FLAGS), shown, most, head)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise refuse("MED-SPECIAL", f"{shown} is a link, not a regular file") from None
        if error.errno == errno.ENXIO:  # open(2): "The file is a UNIX domain socket"
            raise refuse("MED-SPECIAL", f"{shown} is a socket, not a regular file") from None
        raise MediaTrouble("MED-GONE", f"{shown}: {error.strerror or error}") from None
    try:
        file.require_no_hole()
    except (Refused, MediaTrouble):
        file.close()
        raise
    return file


def _followed(path: Path, shown: str) -> Path:
    if not path.is_symlink():
        return path
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # pathlib's word for a loop, before Python 3.13
        raise refuse("MED-SPECIAL", f"{shown} is a link that leads nowhere") from None
    if target.parent != path.parent.resolve():
        text = f"{shown} is a link to {escaped(str(target), 4096)}; name that file itself"
        raise refuse("MED-SPECIAL", text)
    return target
