"""Files as this room keeps them, and the one place where the ceremony changes a medium.

Nothing is ever read, cut or written through a link. A log is one descriptor of one regular
file that has one name. A file that is written stands whole or not at all, under a temporary
name that is always a new file. Every change is one call of `os`, buffered nowhere, so that a test
can let each of them fail (docs/spec/durability.md).
Source of the discipline: POSIX rename(2) atomicity, fsync(2) of file and of folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ceremony.bundle import RESERVED, TRANSCRIPT, image_name
from ceremony.content import Stored
from ceremony.effects import Buffer
from ceremony.errors import MediaTrouble, Refused, refuse
from ceremony.ingest.on_disk import OnDisk
from ceremony.ingest.reading import (
    CHUNK,
    FLAGS,
    MOST_BYTES,
    list_folder,
    read_descriptor,
    read_regular,
)
from ceremony.ingest.sealed_copy import copy_file
from ceremony.show import counted, escaped
from transcripts.canon import MOST_LINE
from transcripts.countersign import is_countersignature
from transcripts.log import Log, read_log

TEMPORARY = ".part"
MOST_LOG = 2**30  # bytes of one log
MOST_BUNDLE = MOST_BYTES
LARGE = 2**20  # bytes; no file that came in with an image is larger
MOST_JUDGED = 2  # files of a bundle that are copied: it has one unsigned image
SIGNED = ".signed.efi"
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # FAT has none
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOG = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_log(path: Path) -> int:
    """Open a log once, for reading, cutting and appending; TRN-LOG unless it is its own file."""
    try:
        make_folder(path.parent)
        file = os.open(path, _LOG, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise refuse("TRN-LOG", f"{shown(path)} is a link") from None
        raise trouble("TRN-WRITE", path, error) from None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise refuse("TRN-LOG", f"{shown(path)} is not a regular file with one name")
        sync_folder(path.parent)
    except OSError as error:
        os.close(file)
        raise trouble("TRN-WRITE", path, error) from None
    except Refused:
        os.close(file)
        raise
    return file


def read_log_file(path: Path, file: int) -> Log:
    """Return what an open log holds on its medium; TRN-LINE when that is more than a log can be.

    It is made durable before it is believed: a process that was killed between write and fsync
    leaves lines that only memory holds. A last line that was damaged is put where a torn one
    goes; `fault` still says why.
    """
    try:
        os.fsync(file)
        # After an fsync that failed memory may hold what the medium does not.
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        size = os.fstat(file).st_size
        if size > MOST_LOG:
            raise refuse("TRN-LINE", f"{shown(path)} has {counted(size)}, at most {MOST_LOG:,}")
        data = read_descriptor(file, MOST_LOG)
    except OSError as error:
        raise trouble("TRN-WRITE", path, error) from None
    log = read_log(data)
    rest = data[sum(len(raw) + 1 for raw in log.raw) :]
    if log.fault and log.fault.rule == "TRN-LINE" and rest.find(b"\n") == len(rest) - 1:
        return replace(log, torn=rest)
    return log


def read_bundle(folder: Path, held: Container[str] = ()) -> dict[str, Stored]:
    """Return every file of a bundle by its name; TRN-BUNDLE for what is no file.

    Large ones are not read here: what may be the unsigned image is copied, and cannot change any
    more, but for `held` names, whose bytes the caller has; others stay where they are. A
    transcript is refused (TRN-LINE) at the first line that is too long to be one, before the
    rest of it is read. MED-MEMORY; OSError passes.
    """
    sizes = dict(list_folder(folder, "TRN-BUNDLE"))
    total = sum(sizes.values())
    if total > MOST_BUNDLE or sizes.get(TRANSCRIPT, 0) > MOST_LOG:
        text = f"{shown(folder)} holds {counted(total)}, a bundle at most {MOST_BUNDLE:,}"
        raise refuse("TRN-BUNDLE", text)
    if TRANSCRIPT in sizes:
        _check_lines(folder / TRANSCRIPT)
    large = {name for name, size in sizes.items() if size > LARGE and not _is_list(name)}
    judged = sorted(name for name in large if name not in held and _may_be_judged(name, sizes))
    files: dict[str, Stored] = {}
    for name in sorted(sizes):
        path = folder / name
        if name in judged[:MOST_JUDGED]:
            files[name] = copy_file(path, sizes[name])
        else:
            files[name] = OnDisk(path) if name in large else read_regular(path, sizes[name])
    return files


def _is_list(name: str) -> bool:
    return name in RESERVED or is_countersignature(name)


def _may_be_judged(name: str, names: Container[str]) -> bool:
    """Say whether a file can be the unsigned image: in the folder itself, no signed one's name."""
    stem = name.removesuffix(SIGNED)
    signed = stem != name and (stem in names or f"{stem}.efi" in names)
    return image_name(name) == name and not signed


def _check_lines(path: Path) -> None:
    """TRN-LINE: no line is longer than a line can be."""
    file = os.open(path, FLAGS)
    try:
        at = start = 0
        while chunk := os.pread(file, CHUNK, at):
            if (last := chunk.rfind(b"\n")) >= 0:
                start = at + last + 1
            at += len(chunk)
            if at - start > MOST_LINE:
                raise refuse("TRN-LINE", f"a line of {shown(path)} has over {MOST_LINE:,} bytes")
    finally:
        os.close(file)


def check_together(path: Path, log: Log, others: tuple[Log, ...]) -> None:
    """TRN-FORK: the log is good, and at most the one line behind that a crash leaves it.

    A log that is gone or empty is a medium that was changed; it may lack every line. A damaged
    last line is a crash's, as a torn one is, only where another log is good that far.
    """
    longest = max((log, *others), key=lambda other: len(other.raw))
    if log.fault:
        damaged = log.torn.endswith(b"\n")
        if not (damaged and any(not o.fault and len(o.raw) >= len(log.raw) for o in others)):
            raise Refused(log.fault)
    if log.raw != longest.raw[: len(log.raw)]:
        raise refuse("TRN-FORK", f"{shown(path)} holds other lines than the other log")
    ahead = len(longest.raw) - len(log.raw)
    if ahead > 1 and (log.raw or log.torn):
        raise refuse("TRN-FORK", f"the other log holds {ahead:,} lines more than {shown(path)}")


def append(path: Path, file: int, data: bytes) -> None:
    """Append to an open log, durably; TRN-WRITE, also when `path` is that log no more."""
    try:
        write_all(file, data)
        os.fsync(file)
        # A medium that was pulled, or a folder that was removed, takes lines that nobody reads.
        named, held = path.lstat(), os.fstat(file)
    except OSError as error:
        raise trouble("TRN-WRITE", path, error) from None
    if (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino):
        raise MediaTrouble("TRN-WRITE", f"{shown(path)} is another file than was opened")


def cut(path: Path, file: int, size: int) -> None:
    """Cut an open log to `size` bytes, durably; TRN-WRITE."""
    try:
        os.ftruncate(file, size)
        os.fsync(file)
    except OSError as error:
        raise trouble("TRN-WRITE", path, error) from None


def trouble(rule: str, path: Path, error: OSError) -> MediaTrouble:
    """Return the MediaTrouble that an OSError on a medium is."""
    return MediaTrouble(rule, f"{shown(path)}: {error.strerror or error}")


def shown(path: Path) -> str:
    """Return a path as it is put before people."""
    return escaped(str(path), 4096)


def make_folder(folder: Path) -> None:
    """Make a folder and the folders above it, their names durable; OSError passes."""
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        if each.stat().st_dev == each.parent.stat().st_dev:  # the root of a medium has no name
            sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(file: int, data: Buffer) -> None:
    """Write all of `data`: write(2) may take less than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest[:CHUNK]) :]


def write_part(part: Path, pieces: Iterable[Buffer]) -> None:
    """Write a new file in the place of whatever has this temporary name, durably."""
    part.unlink(missing_ok=True)
    file = os.open(part, _NEW, 0o644)
    try:
        for piece in pieces:
            write_all(file, piece)
        os.fsync(file)
    finally:
        os.close(file)


def put_in_place(part: Path, final: Path) -> None:
    """Give a whole file its name; the folder is still to be synced."""
    part.replace(final)


def write_file(path: Path, pieces: Iterable[Buffer]) -> None:
    """Write a file whole or not at all: temporary name, fsync, rename, fsync of the folder."""
    part = part_of(path)
    try:
        write_part(part, pieces)
        put_in_place(part, path)
        sync_folder(path.parent)
    except OSError:
        remove(part)
        raise


def write_new(path: Path, data: Buffer) -> None:
    """Write a file whole, and in nobody's place: FileExistsError, other OSErrors pass."""
    part = part_of(path)
    try:
        write_part(part, (data,))
        try:
            os.link(part, path)
        except OSError as error:
            if error.errno not in _NO_LINKS or os.path.lexists(path):
                raise
            part.rename(path)
        sync_folder(path.parent)
    finally:
        remove(part)


def remove(*paths: Path) -> None:
    """Remove what there is of `paths`; a medium that refuses even that was reported already."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def take_back(*paths: Path) -> None:
    """Remove what there is of `paths`, durably; OSError passes."""
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in sorted({path.parent for path in paths}):
        sync_folder(folder)


def part_of(final: Path) -> Path:
    """Return the temporary name of a file."""
    return final.with_name(final.name + TEMPORARY)
