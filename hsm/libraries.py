"""Which program files the token's process has mapped, each with its SHA-256.

The module alone is not what runs: what it loads at C_Initialize, or only when somebody logs
in, has the PIN as well. The process names the files, this side measures them. Python's own
are named as "python:", "library:" and "packages:" with the place below, since the folders
say nothing but where this machine keeps Python. Decides nothing about any of them.
Source: proc_pid_maps(5).
"""

from __future__ import annotations

import hashlib
import stat
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

MOST_FILES = 512
UNREADABLE = "unreadable"
_EXECUTABLE, _PATH = 1, 5  # fields of a line: permissions, path


def mapped_files() -> list[str]:
    """Return the files that this process has mapped to be run, sorted."""
    found = set()
    for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
        fields = line.split(maxsplit=_PATH)
        if len(fields) > _PATH and "x" in fields[_EXECUTABLE] and fields[_PATH].startswith("/"):
            found.add(fields[_PATH])
    return sorted(path.encode("utf-8", "replace").decode() for path in found)[:MOST_FILES]


def measured(paths: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return (name, SHA-256 in hex, or "unreadable") for each of at most 512 paths."""
    return tuple((_named(path), _measured(path)) for path in paths[:MOST_FILES])


def _named(path: str) -> str:
    """Return a path, or the place of a file of Python's own in its folder."""
    if path == str(Path(sys.executable).resolve()):
        return "python:"
    for name, folder in _own_folders():
        if path.startswith(folder):
            return f"{name}:{path.removeprefix(folder)}"
    return path


@lru_cache(maxsize=1)
def _own_folders() -> tuple[tuple[str, str], ...]:
    """Return names and folders, with a slash behind; packages may lie inside the library."""
    kinds = (("packages", "platlib"), ("packages", "purelib"), ("library", "platstdlib"))
    paths = sysconfig.get_paths()
    found = [(name, f"{Path(paths[kind]).resolve()}/") for name, kind in kinds]
    found.append(("library", f"{Path(sysconfig.__file__).resolve().parent}/"))
    found.append(("python", f"{Path(sys.base_prefix).resolve() / 'lib'}/libpython"))
    return tuple(found)


def _measured(path: str) -> str:
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            return UNREADABLE
        return _digest(path, status.st_ino, status.st_size, status.st_mtime_ns)
    except OSError:
        return UNREADABLE


@lru_cache(maxsize=MOST_FILES)
def _digest(path: str, _inode: int, _size: int, _modified: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
