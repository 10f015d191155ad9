"""A file that is being written and stands under its name only when it is whole.

Where the file system can, the draft has no name at all until then: a process that is killed
leaves nothing behind. What stood under the name before stays until the very end. A link is
written through as sbsign does, but for another user's in a shared folder; a device, a pipe
or a folder is refused.
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
MODE = 0o666  # less the umask
OWN_NAMES = Path("/proc/self/fd")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Draft:
    """The open file behind a name to come; `path` is where it will stand."""

    def __init__(self, path: Path) -> None:
        """Open in the folder of `path`; MED-SPECIAL, MediaTrouble MED-FOLDER, MED-WRITE."""
        self.path = _followed(path)
        self._require_folder()
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
            if self._mode is not None:
                os.fchmod(self._descriptor, self._mode)
            os.fsync(self._descriptor)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._trouble(error) from None
        try:
            self._rename(folder)
        except OSError as error:
            raise self._trouble(error) from None
        else:
            with suppress(OSError):  # some file systems cannot; the file itself is durable
                os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Let go; a draft that was not committed is gone."""
        os.close(self._descriptor)
        if self._name is not None:
            with suppress(OSError):
                self._name.unlink()

    def _require_folder(self) -> None:
        """MED-FOLDER: no folder is made on the way to an output."""
        if not self.path.parent.is_dir():
            text = f"{escaped(str(self.path.parent), 4096)} is not there, or is not a folder"
            raise MediaTrouble("MED-FOLDER", f"{text}; nothing was written")

    def _allowed(self) -> int | None:
        """Return the mode to keep, that of the caller's own file which stood there."""
        try:
            status = self.path.lstat()
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            text = f"{escaped(str(self.path))} is there already and is not a regular file"
            raise refuse("MED-SPECIAL", text)
        # A stranger's file may bear any mode, set-user-id among them.
        own = status.st_uid == os.geteuid()
        return stat.S_IMODE(status.st_mode) & 0o777 if own else None

    def _open(self) -> int:
        folder = self.path.parent
        if OWN_NAMES.is_dir():
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
            os.link(OWN_NAMES / str(self._descriptor), name, src_dir_fd=folder)
            self._name = name
        self._name.replace(self.path)
        self._name = None

    def _other_name(self) -> Path:
        return self.path.with_name(f".uki-{os.urandom(8).hex()}.part")

    def _trouble(self, error: OSError) -> MediaTrouble:
        text = f"{escaped(str(self.path), 4096)}: {error.strerror or error}"
        return MediaTrouble("MED-WRITE", f"{text}; nothing was written")


def _followed(path: Path) -> Path:
    """Return where a link leads; MED-SPECIAL where another user may have put it in the way.

    As the kernel does with fs.protected_symlinks (proc(5)), which a rename would pass by.
    """
    try:
        if not path.is_symlink():
            return path
        link, folder = path.lstat(), path.parent.stat()
        shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
        if shared and link.st_uid not in (os.geteuid(), folder.st_uid):
            text = f"{escaped(str(path), 4096)} is another user's link in a shared folder"
            raise refuse("MED-SPECIAL", text)
        if path.exists() and not path.is_file():  # /dev/stdout, say
            text = f"{escaped(str(path), 4096)} leads to what is not a regular file"
            raise refuse("MED-SPECIAL", text)
        return path.resolve()
    except (OSError, RuntimeError):  # pathlib's word for a loop, before Python 3.13
        text = f"{escaped(str(path), 4096)} is a link that leads nowhere"
        raise refuse("MED-SPECIAL", text) from None


def keep_apart(output: Path, *inputs: Path | None) -> None:
    """MED-SAME: refuse an output that would take the place of another file that is read."""
    for path in inputs:
        if path is None:
            continue
        try:
            same = output.samefile(path)
        except OSError:
            continue
        if same:
            text = f"{escaped(str(output), 4096)} is {escaped(str(path), 4096)}, which is read"
            raise refuse("MED-SAME", text)


@contextmanager
def drafting(path: Path) -> Iterator[Draft]:
    """Open a draft of `path`; one that was not committed in the block is gone after it."""
    draft = Draft(path)
    try:
        yield draft
    finally:
        draft.close()
