"""The only file of this room that touches disks: the journal on its log media, and outputs.

A line counts when it was written and fsynced on every log medium. A file counts when it
was written under a temporary name, fsynced, renamed, its folder fsynced, and read back.
Source of the discipline: POSIX rename(2) atomicity, fsync(2) of file and of folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ceremony.bundle import TRANSCRIPT
from ceremony.effects import Buffer, Output
from ceremony.errors import MediaTrouble, Refused, refuse
from ceremony.events import Begun, Event, OutputFile, Recovered
from ceremony.ports import Progress, Report
from ceremony.types import Mode
from transcripts.checkpoint import Head, origin
from transcripts.log import FIRST, Line, Log, Stamp, link, read_log
from transcripts.merkle import Tree

CHUNK = 2**20
TEMPORARY = ".part"


class FileJournal:
    """One transcript on one or more log media, appended to line by line."""

    def __init__(self, folders: tuple[Path, ...], stamp: Callable[[], Stamp]) -> None:
        self._paths = tuple(folder / TRANSCRIPT for folder in folders)
        self._stamp = stamp
        self._files: list[int] = []
        self._ceremony = ""
        self._mode = Mode.REHEARSAL
        self._prev = FIRST
        self._tree = Tree()

    @property
    def head(self) -> Head:
        """Return the head over the lines so far."""
        return Head(origin(self._ceremony, self._mode), self._tree.size, self._tree.root())

    def recover(self) -> tuple[Log, Recovered | None]:
        """Open the logs; return what they hold, and what recovery there was to make.

        A torn last line is kept beside the log as evidence; a log that lags behind gets the
        lines it lacks. Refused (TRN-FORK) when two logs differ in a line both have, or hold
        a line that is not good.
        """
        logs = [self._read(path) for path in self._paths]
        longest = max(logs, key=lambda log: len(log.raw))
        for path, log in zip(self._paths, logs, strict=True):
            if log.fault:
                raise Refused(log.fault)
            if log.raw != longest.raw[: len(log.raw)]:
                raise refuse("TRN-FORK", f"{path} holds other lines than the other log")
        torn = [self._set_aside(path, log) for path, log in zip(self._paths, logs, strict=True)]
        repaired = []
        for path, log in zip(self._paths, logs, strict=True):
            missing = longest.raw[len(log.raw) :]
            self._open(path, missing)
            if missing:
                repaired.append(f"{path.parent.name}: {len(missing)} lines")
        for raw, line in zip(longest.raw, longest.lines, strict=True):
            self._grow(raw, line.event, line.ceremony)
        if not longest.raw:
            return longest, None
        kept = tuple(name for name in torn if name)
        return longest, Recovered(len(longest.raw), self.head.spoken, kept, tuple(repaired))

    def append(self, event: Event) -> None:
        """Write `event` as the next line on every log, fsynced; MediaTrouble (TRN-WRITE)."""
        ceremony = event.ceremony if isinstance(event, Begun) else self._ceremony
        line = Line(ceremony, self._tree.size, self._prev, self._stamp(), event)
        raw = line.to_bytes()
        for path, file in zip(self._paths, self._files, strict=True):
            _append(path, file, raw + b"\n")
        self._grow(raw, event, ceremony)

    def transcript(self) -> bytes:
        """Return the whole transcript as it stands on the first log."""
        return self._paths[0].read_bytes()

    def close(self) -> None:
        """Close the log files."""
        while self._files:
            os.close(self._files.pop())

    def _grow(self, raw: bytes, event: Event, ceremony: str) -> None:
        if isinstance(event, Begun):
            self._ceremony, self._mode = ceremony, event.mode
        self._tree.append(raw)
        self._prev = link(raw)

    def _read(self, path: Path) -> Log:
        try:
            return read_log(path.read_bytes())
        except FileNotFoundError:
            return read_log(b"")
        except OSError as error:
            raise _trouble("TRN-WRITE", path, error) from None

    def _set_aside(self, path: Path, log: Log) -> str:
        """Keep a torn line as evidence beside the log, and cut it off."""
        if not log.torn:
            return ""
        digest = hashlib.sha256(log.torn).hexdigest()
        beside = path.with_name(f"{TRANSCRIPT}.torn-{digest[:16]}")
        write_file(beside, (log.torn,))
        with path.open("r+b") as file:
            file.truncate(sum(len(raw) + 1 for raw in log.raw))
            os.fsync(file.fileno())
        return f"{path.parent.name}: {len(log.torn)} bytes, sha256 {digest}"

    def _open(self, path: Path, missing: Iterable[bytes]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._files.append(os.open(path, flags, 0o644))
            sync_folder(path.parent)
        except OSError as error:
            raise _trouble("TRN-WRITE", path, error) from None
        for raw in missing:
            _append(path, self._files[-1], raw + b"\n")


def _append(path: Path, file: int, data: bytes) -> None:
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    except OSError as error:
        raise _trouble("TRN-WRITE", path, error) from None


def _trouble(rule: str, path: Path, error: OSError) -> MediaTrouble:
    return MediaTrouble(rule, f"{path}: {error.strerror or error}")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, pieces: Iterable[Buffer]) -> None:
    """Write a file whole or not at all: temporary name, fsync, rename, fsync of the folder."""
    part = path.with_name(path.name + TEMPORARY)
    try:
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError:
        part.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class BundleFolder:
    """The folder that outputs go to, and the log folders beside it."""

    folder: Path
    logs: tuple[Path, ...]

    def require_empty(self) -> None:
        """MED-OUTPUT: the output folder is new or empty, so nothing is ever overwritten."""
        try:
            empty = not self.folder.exists() or not any(self.folder.iterdir())
        except OSError as error:
            raise _trouble("MED-WRITE", self.folder, error) from None
        if not empty:
            raise refuse("MED-OUTPUT", f"{self.folder} is not an empty folder")

    def room(self) -> tuple[int, tuple[int, ...], bool]:
        """Return free bytes for outputs, for each log, and whether the folder is empty."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            empty = not any(self.folder.iterdir())
            return _free(self.folder), tuple(_free(log) for log in self.logs), empty
        except OSError as error:
            raise _trouble("MED-WRITE", self.folder, error) from None

    def write(self, outputs: tuple[Output, ...], report: Report) -> tuple[OutputFile, ...]:
        """Write every output under a temporary name, then rename all, then read all back."""
        total = sum(output.file.size for output in outputs)
        done = 0
        renames: list[tuple[Path, Path]] = []
        standing: list[Path] = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for output in outputs:
                final = self.folder / output.file.name
                final.parent.mkdir(parents=True, exist_ok=True)
                part = final.with_name(final.name + TEMPORARY)
                renames.append((part, final))
                done = _write_part(part, output, done, total, report)
            for part, final in renames:
                part.replace(final)
                standing.append(final)
            for folder in sorted({final.parent for _, final in renames}):
                sync_folder(folder)
            sync_folder(self.folder)
            return tuple(self._read_back(output.file.name, report) for output in outputs)
        except OSError as error:
            for path in (*(part for part, _ in renames), *standing):
                path.unlink(missing_ok=True)
            raise _trouble("MED-WRITE", self.folder, error) from None

    def _read_back(self, name: str, report: Report) -> OutputFile:
        path = self.folder / name
        size, digest = 0, hashlib.sha256()
        with path.open("rb") as file:
            # What is read back must come from the medium, not from memory.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                report(Progress(f"reading back {name}", size, size, "bytes"))
        return OutputFile(name, size, digest.hexdigest())


def _write_part(part: Path, output: Output, done: int, total: int, report: Report) -> int:
    with part.open("wb") as file:
        for piece in output.pieces():
            view = memoryview(piece)
            for start in range(0, len(view), CHUNK):
                done += file.write(view[start : start + CHUNK])
                report(Progress(f"writing {output.file.name}", done, total, "bytes"))
        file.flush()
        os.fsync(file.fileno())
    return done


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
