"""A file that is being written and stands under its name only when it is whole.

Where the file system can, the draft has no name at all until then: a process that is killed
leaves nothing behind. What stood under the name before stays until the very end. A link is
written through as sbsign does; a device, a pipe or a folder is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ceremony.errors import MediaTrouble, refuse
from ceremony.ingest.steady import SteadyFile
from ceremony.pe.headers import HEAD_BYTES, Bytes
from ceremony.pe.layout import MOST_BYTES
from ceremony.show import escaped

NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
MODE = 0o644
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Draft:
    """The open file behind a name to come; `path` is where it will stand."""

    def __init__(self, path: Path) -> None:
        """Open in the folder of `path`; MED-SPECIAL, and MediaTrouble MED-WRITE."""
        self.path = path.resolve() if path.is_symlink() else path
        self._mode = self._allowed()
        self._name: Path | None = None
        try:
            self._descriptor = self._open()
        except OSError as error:
            raise self._trouble(error) from None

    def update(self, chunk: Bytes) -> None:
        """Write the next bytes."""
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise self._trouble(error) from None

    def patch(self, octets: bytes, at: int) -> None:
        """Write over bytes that were written before."""
        try:
            os.pwrite(self._descriptor, octets, at)
        except OSError as error:
            raise self._trouble(error) from None

    def cut(self, size: int) -> None:
        """Drop what was written behind `size` bytes; what comes next is written there."""
        try:
            os.ftruncate(self._descriptor, size)
            os.lseek(self._descriptor, size, os.SEEK_SET)
        except OSError as error:
            raise self._trouble(error) from None

    def written(self) -> SteadyFile:
        """Return the file to be read again from its beginning."""
        descriptor = os.dup(self._descriptor)
        return SteadyFile(descriptor, escaped(str(self.path), 4096), MOST_BYTES, HEAD_BYTES)

    def commit(self) -> None:
        """Make bytes and name durable; from here on the name means this file."""
        try:
            os.fchmod(self._descriptor, self._mode)
            os.fsync(self._descriptor)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._rename(folder)
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._trouble(error) from None

    def close(self) -> None:
        """Let go; a draft that was not committed is gone."""
        os.close(self._descriptor)
        if self._name is not None:
            with suppress(OSError):
                self._name.unlink()

    def _allowed(self) -> int:
        try:
            status = self.path.lstat()
        except OSError:
            return MODE
        if not stat.S_ISREG(status.st_mode):
            text = f"{escaped(str(self.path))} is there already and is not a regular file"
            raise refuse("MED-SPECIAL", text)
        return stat.S_IMODE(status.st_mode)

    def _open(self) -> int:
        folder = self.path.parent
        try:
            return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, MODE)
        except OSError as error:
            if error.errno not in NO_TMPFILE:
                raise
        name = self._other_name()
        descriptor = os.open(name, _NEW, MODE)
        self._name = name
        return descriptor

    def _rename(self, folder: int) -> None:
        if self._name is None:  # open(2), O_TMPFILE: linkat(2) gives the file its first name
            name = self._other_name()
            os.link(f"/proc/self/fd/{self._descriptor}", name, src_dir_fd=folder)
            self._name = name
        self._name.replace(self.path)
        self._name = None

    def _other_name(self) -> Path:
        return self.path.with_name(f".{self.path.name[:200]}.{os.urandom(8).hex()}.part")

    def _trouble(self, error: OSError) -> MediaTrouble:
        text = f"{escaped(str(self.path), 4096)}: {error.strerror or error}"
        return MediaTrouble("MED-WRITE", f"{text}; nothing was written")


@contextmanager
def drafting(path: Path) -> Iterator[Draft]:
    """Open a draft of `path`; one that was not committed in the block is gone after it."""
    draft = Draft(path)
    try:
        yield draft
    finally:
        draft.close()
