"""Putting new files into a folder: each stands whole or not at all, none over another.

Decides how: a nameless file (open(2), O_TMPFILE) that gets its name when it is whole, so that
a killed process leaves nothing; on file systems without them (FAT) a temporary name and a
rename. Refuses to know what the files say.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from ceremony.errors import MediaTrouble, refuse
from ceremony.show import escaped
from transcripts.files import remove, sync_folder, write_file


def require_folder(folder: Path) -> None:
    """MED-FOLDER: outputs go to a folder that somebody made on purpose."""
    if not folder.exists():
        raise MediaTrouble("MED-FOLDER", f"{escaped(str(folder), 4096)} is not there")
    if not folder.is_dir():
        raise MediaTrouble("MED-FOLDER", f"{escaped(str(folder), 4096)} is not a folder")


def require_new(folder: Path, names: tuple[str, ...]) -> None:
    """MED-FOLDER: the folder is there. MED-OUTPUT: none of the files is, not even as a link."""
    require_folder(folder)
    for name in names:
        path = folder / name
        if os.path.lexists(path):
            raise refuse("MED-OUTPUT", f"{escaped(str(path))} exists already")


def require_room(folder: Path, size: int) -> None:
    """MED-FOLDER, MED-WRITE: a file of `size` bytes can be written there now, before an act.

    A key that was made inside a token stays there, whatever becomes of the file about it.
    """
    require_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:  # nameless: nothing of it is left
            probe.write(bytes(size))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise _trouble(folder, error) from None


def write_new(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Write files that do not exist yet, all or none; MED-OUTPUT where one does, MED-FOLDER."""
    require_new(folder, tuple(files))
    written: list[Path] = []
    try:
        for name, data in files.items():
            _write(folder, name, data)
            written.append(folder / name)
        sync_folder(folder)
    except FileExistsError:
        remove(*written)
        raise refuse("MED-OUTPUT", f"{escaped(str(folder / name))} exists already") from None
    except OSError as error:
        remove(*written)
        raise _trouble(folder, error) from None
    return written


def _trouble(folder: Path, error: OSError) -> MediaTrouble:
    return MediaTrouble("MED-WRITE", f"{escaped(str(folder))}: {error.strerror or error}")


def _write(folder: Path, name: str, data: bytes) -> None:
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file = _nameless(inside)
        if file is None:
            write_file(folder / name, (data,))
            return
        with os.fdopen(file, "wb") as draft:
            draft.write(data)
            draft.flush()
            os.fsync(draft.fileno())
            # With a folder's descriptor Python calls linkat(2), AT_SYMLINK_FOLLOW.
            os.link(f"/proc/self/fd/{draft.fileno()}", folder / name, src_dir_fd=inside)
    finally:
        os.close(inside)


def _nameless(folder: int) -> int | None:
    """Return a nameless file that may get a name there, None where none can be made."""
    if not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=folder)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise


# open(2): EOPNOTSUPP; a kernel or file system that never heard of O_TMPFILE says EISDIR or EINVAL
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
