"""The border between the program and its media: every call of `os` that changes one.

Nothing in the program knows of it. Paths are relative to the working folder, so that a
process which changes that folder goes on in a copy of all media (`move`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

from ceremony.effects import Buffer

ROOT = "r"
MEDIA = ("log-a", "log-b", "out")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

Effect: TypeAlias = Callable[[Buffer], Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of a medium, or one opening: its place in the run, what it is, and where."""

    number: int
    kind: str
    medium: str
    path: str
    data: bytes = b""


Watch: TypeAlias = Callable[[Operation, Effect], Any]


class Boundary:
    """Stands between `os` and its callers, and hands each operation to `watch`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._count = 0
        self._watching = False  # what is done by those who watch is not watched
        self._held: dict[int, tuple[str, int]] = {}  # descriptor: path and flags
        self._real = {name: getattr(os, name) for name in (*_BY_PATH, *_BY_FILE, "open", "close")}

    def __enter__(self) -> Self:
        for name in _BY_PATH:
            setattr(os, name, self._by_path(name))
        for name in _BY_FILE:
            setattr(os, name, self._by_file(name))
        setattr(os, "open", self._open)  # noqa: B010 - a fault is put in here
        setattr(os, "close", self._close)  # noqa: B010
        return self

    def __exit__(self, *_: object) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)

    def move(self, folder: Path) -> None:
        """Go on in the copy of all media below `folder`: every open file becomes the copy's."""
        held = {d: at for d, at in self._held.items() if _is_open(d, at[0])}
        os.chdir(folder)
        for descriptor, (path, flags) in held.items():
            place = os.lseek(descriptor, 0, os.SEEK_CUR)
            kept = flags & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC)
            copy = self._real["open"](path, kept)
            os.lseek(copy, place, os.SEEK_SET)
            os.dup2(copy, descriptor, inheritable=False)
            self._real["close"](copy)

    def _seen(self, kind: str, path: str, effect: Effect, data: Buffer = b"") -> Any:  # noqa: ANN401
        if self._watching or not _is_watched(path):
            return effect(data)
        medium = path.removeprefix(ROOT)[1:].partition("/")[0]
        self._count += 1
        self._watching = True
        try:
            return self._watch(Operation(self._count, kind, medium, path, bytes(data)), effect)
        finally:
            self._watching = False

    def _by_path(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def called(path: Any, *rest: Any, **named: Any) -> Any:  # noqa: ANN401
            shown = _relative(path)
            return self._seen(_BY_PATH[name], shown, lambda _: real(path, *rest, **named))

        return called

    def _by_file(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def called(file: int, *rest: Any) -> Any:  # noqa: ANN401
            path = "" if self._watching else self._held.get(file, ("", 0))[0]
            if name == "write":
                return self._seen("write", path, lambda data: real(file, data), rest[0])
            kind = _BY_FILE[name]
            if stat.S_ISDIR(os.fstat(file).st_mode):
                kind = f"{kind} of a folder"
            return self._seen(kind, path, lambda _: real(file, *rest))

        return called

    def _open(self, path: Any, flags: int, *rest: Any, **named: Any) -> int:  # noqa: ANN401
        shown = _relative(path)
        kind = "open" if flags & WRITING else "open to read"
        real = self._real["open"]
        file: int = self._seen(kind, shown, lambda _: real(path, flags, *rest, **named))
        if not self._watching and _is_watched(shown):
            self._held[file] = (shown, flags)
        return file

    def _close(self, file: int) -> None:
        if not self._watching:
            self._held.pop(file, None)
        self._real["close"](file)


_BY_PATH = {
    "replace": "rename",
    "rename": "rename",
    "link": "link",
    "symlink": "link",
    "unlink": "unlink",
    "remove": "unlink",
    "mkdir": "mkdir",
    "rmdir": "rmdir",
    "truncate": "truncate",
}
_BY_FILE = {
    "write": "write",
    "fsync": "fsync",
    "fdatasync": "fsync",
    "ftruncate": "truncate",
}


def _is_watched(path: str) -> bool:
    """Tell whether a path is on a medium, or the folder all media are in."""
    root, _, rest = path.partition("/")
    return root == ROOT and rest.partition("/")[0] in ("", *MEDIA)


def _is_open(descriptor: int, path: str) -> bool:
    """Tell whether a descriptor still is the file that was opened at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    except OSError:
        return False


def _relative(path: Any) -> str:  # noqa: ANN401
    """Return the path below the working folder; the program names its media by such paths only."""
    if isinstance(path, int):
        return ""
    shown = os.fspath(path)
    return shown.decode() if isinstance(shown, bytes) else shown
