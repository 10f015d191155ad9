"""What a medium holds when the power goes: only what was made durable is certain.

The strictest reading of POSIX: a file's bytes are durable after its fsync, a name after the
fsync of the folder it stands in, and nothing besides. What was not made durable may be lost,
names and bytes independently of each other.
"""

from __future__ import annotations

import os
from pathlib import Path

from durability.boundary import MEDIA, ROOT, Operation


class Durable:
    """What is durable by now: bytes by file (inode), names by folder."""

    def __init__(self) -> None:
        """Take all that stands in the working folder as durable."""
        self._bytes: dict[int, bytes] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._look(ROOT)

    def note(self, operation: Operation) -> None:
        """Learn from an operation that took effect."""
        path = operation.path
        if operation.kind == "fsync":
            self._bytes[Path(path).stat().st_ino] = _read(path)
        elif operation.kind == "fsync of a folder":
            self._names[path] = _names(path)
        elif operation.kind == "open" and not Path(path).stat().st_size:
            self._bytes[Path(path).stat().st_ino] = b""  # a number may have been another file's
        elif operation.kind == "mkdir":
            self._names.setdefault(path, {})

    def synced(self, path: str) -> int:
        """Return how many bytes of a file are durable."""
        return len(self._bytes.get(Path(path).stat().st_ino, b"")) if Path(path).is_file() else 0

    def left(self, *, names: bool, data: bool) -> dict[str, bytes]:
        """Return the files that are left when un-synced names or bytes (or both) are lost."""
        present = {Path(p).stat().st_ino: b for p, b in standing().items() if not p.endswith("/")}
        found: dict[str, bytes] = {}
        folders = [ROOT]
        while folders:
            folder = folders.pop()
            listed = self._names.get(folder, {}) if names else _names(folder)
            for name, inode in listed.items():
                path = f"{folder}/{name}"
                if inode == _FOLDER:
                    folders.append(path)
                    found[f"{path}/"] = b""
                elif data or inode not in present:
                    found[path] = self._bytes.get(inode, b"")
                else:
                    found[path] = present[inode]
        return found

    def _look(self, folder: str) -> None:
        self._names[folder] = _names(folder)
        for name, inode in self._names[folder].items():
            path = f"{folder}/{name}"
            if inode == _FOLDER:
                self._look(path)
            else:
                self._bytes[inode] = _read(path)


def standing(base: Path = Path()) -> dict[str, bytes]:
    """Return everything that stands on the media below `base`, durable or not."""
    found: dict[str, bytes] = {}
    above = "" if base == Path() else f"{base}/"
    for medium in MEDIA:
        for folder, _, files in os.walk(f"{above}{ROOT}/{medium}"):
            inside = folder.removeprefix(above)
            found[f"{inside}/"] = b""
            found |= {f"{inside}/{file}": _read(f"{folder}/{file}") for file in files}
    return found


_FOLDER = -1


def lay_out(base: Path, files: dict[str, bytes]) -> None:
    """Write `files` below `base`; a name that ends with a slash is a folder."""
    for name in sorted(files):
        path = base / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.write_bytes(files[name])


def _names(folder: str) -> dict[str, int]:
    if not Path(folder).is_dir():
        return {}
    return {
        entry.name: _FOLDER if entry.is_dir() else entry.inode()
        for entry in os.scandir(folder)
        if folder != ROOT or entry.name in MEDIA
    }


def _read(path: str) -> bytes:
    return Path(path).read_bytes()
