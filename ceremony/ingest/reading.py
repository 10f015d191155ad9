"""Reading files that strangers may have put in place: regular ones only, bounded, no link followed.

What a file is, is asked of the open descriptor, so that no pipe waits and no device is read.
Its size is asked before anything is read and is held to while reading. OSError passes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ceremony.errors import refuse
from ceremony.show import counted, escaped

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
CHUNK = 2**20
MOST_FILES = 50_000
MOST_DEPTH = 16
MOST_BYTES = 4 * 2**30
MOST_AT_ONCE = 2**30  # read(2): one call moves less than 2 GiB


def read_regular(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file; MED-SPECIAL for anything else, MED-SIZE over `most`."""
    shown = escaped(str(path))
    try:
        descriptor = os.open(path, FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise refuse("MED-SPECIAL", f"{shown} is a link, which is not followed") from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise refuse("MED-SPECIAL", f"{shown} is not a regular file")
        if status.st_size > most:
            raise refuse("MED-SIZE", f"{shown} has {counted(status.st_size)}, at most {most:,}")
        data = _read_sized(descriptor, status.st_size, most + 1)
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise refuse("MED-SIZE", f"{shown} grew beyond {counted(most)} while it was read")
    return data


def _read_sized(descriptor: int, size: int, most: int) -> bytes:
    """Return what a file of `size` bytes holds, in one piece where it did not change."""
    data = os.pread(descriptor, min(size, MOST_AT_ONCE), 0)
    if len(data) == size < most and not os.pread(descriptor, 1, size):
        return data
    return read_descriptor(descriptor, most)


def read_descriptor(descriptor: int, most: int) -> bytes:
    """Return what a file holds from its beginning, at most `most` bytes of it."""
    data = bytearray()
    while len(data) < most:
        chunk = os.pread(descriptor, min(CHUNK, most - len(data)), len(data))
        if not chunk:
            break
        data += chunk
    return bytes(data)


def read_folder(
    folder: Path,
    most_files: int = MOST_FILES,
    most_depth: int = MOST_DEPTH,
    most_bytes: int = MOST_BYTES,
) -> dict[str, bytes]:
    """Return every file below `folder` by its path in it, sorted; TRN-BUNDLE for what is no file.

    All sizes together are held to `most_bytes` before any file is read.
    """
    sizes = dict(list_folder(folder, "TRN-BUNDLE", most_files, most_depth))
    total = sum(sizes.values())
    if total > most_bytes:
        text = f"{escaped(str(folder))} holds {counted(total)}, at most {most_bytes:,}"
        raise refuse("TRN-BUNDLE", text)
    files: dict[str, bytes] = {}
    room = most_bytes
    for name in sorted(sizes):
        files[name] = read_regular(folder / name, room)
        room -= len(files[name])
    return files


def list_folder(
    folder: Path, rule: str, most_files: int = MOST_FILES, most_depth: int = MOST_DEPTH
) -> Iterator[tuple[str, int]]:
    """Yield path and size of every file below `folder`; `rule` refuses what is no file or folder.

    Names are UTF-8 without control characters. At most `most_files` entries, folders included.
    """
    stack = [(folder, "", 0)]
    seen = 0
    while stack:
        inside, prefix, depth = stack.pop()
        with os.scandir(inside) as scan:
            entries = list(islice(scan, most_files - seen + 1))
        seen += len(entries)
        if seen > most_files:
            raise refuse(rule, f"more than {most_files:,} files and folders")
        for entry in entries:
            path = f"{prefix}{entry.name}"
            if not is_plain(entry.name):
                raise refuse(
                    rule, f"{escaped(path)} is not a UTF-8 name without control characters"
                )
            if entry.is_dir(follow_symlinks=False):
                if depth == most_depth:
                    raise refuse(
                        rule, f"{escaped(path)} is nested deeper than {most_depth} folders"
                    )
                stack.append((inside / entry.name, f"{path}/", depth + 1))
            elif entry.is_file(follow_symlinks=False):
                yield path, entry.stat(follow_symlinks=False).st_size
            else:
                raise refuse(rule, f"{escaped(path)} is not a regular file or a folder")


def is_utf8(name: str) -> bool:
    """Tell whether a name, as the system gave it, is UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_plain(name: str) -> bool:
    """Tell whether a name is UTF-8 without control characters."""
    return is_utf8(name) and not any(c < " " or "\x7f" <= c <= "\x9f" for c in name)
