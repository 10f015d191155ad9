"""The journal on its log media, and the folder that outputs go to.

A line counts when it was written and fsynced on every log medium. A file counts when it
was written under a temporary name, fsynced, renamed, its folder fsynced, and read back.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ceremony.bundle import CHECKPOINT, SUMS, TRANSCRIPT
from ceremony.effects import Buffer, Output
from ceremony.errors import MediaTrouble, refuse
from ceremony.events import Begun, Event, OutputFile, Recovered
from ceremony.ingest.reading import CHUNK, list_folder, read_descriptor
from ceremony.ports import Progress, Report
from ceremony.show import counted, escaped
from ceremony.types import Mode
from transcripts.canon import MOST_LINE
from transcripts.checkpoint import Head, origin
from transcripts.countersign import is_countersignature
from transcripts.files import (
    MOST_LOG,
    TEMPORARY,
    append,
    check_together,
    cut,
    make_folder,
    open_log,
    part_of,
    put_in_place,
    read_log_file,
    remove,
    shown,
    sync_folder,
    take_back,
    trouble,
    write_file,
    write_part,
)
from transcripts.log import FIRST, Line, Log, Stamp, link
from transcripts.merkle import Tree

__all__ = ["BundleFolder", "FileJournal", "write_file"]


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
        self._size = 0
        self._stopped: MediaTrouble | None = None

    @property
    def head(self) -> Head:
        """Return the head over the lines so far."""
        return Head(origin(self._ceremony, self._mode), self._tree.size, self._tree.root())

    def recover(self) -> tuple[Log, Recovered | None]:
        """Open the logs; return what they hold, and what recovery there was to make.

        A torn last line is kept beside the log as evidence; a log that lags behind gets the
        lines it lacks. Refused (TRN-FORK) when two logs differ in a line both have, hold a line
        that is not good, or are further apart than a crash between two appends leaves them.
        """
        try:
            return self._recover()
        except BaseException:
            self.close()
            raise

    def _recover(self) -> tuple[Log, Recovered | None]:
        for path in self._paths:
            self._files.append(open_log(path))
        known = {(s.st_dev, s.st_ino) for s in map(os.fstat, self._files)}
        if len(known) != len(self._files):
            raise refuse("TRN-LOG", f"{shown(self._paths[0])} stands for two logs")
        opened = list(zip(self._paths, self._files, strict=True))
        logs = [read_log_file(path, file) for path, file in opened]
        for place, (path, log) in enumerate(zip(self._paths, logs, strict=True)):
            check_together(path, log, (*logs[:place], *logs[place + 1 :]))
        longest = max(logs, key=lambda log: len(log.raw))
        torn = [_set_aside(path, file, log) for (path, file), log in zip(opened, logs, strict=True)]
        repaired = []
        for place, (path, log) in enumerate(zip(self._paths, logs, strict=True)):
            missing = longest.raw[len(log.raw) :]
            if missing:
                self._files[place] = _repair(path, self._files[place], missing, log)
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
        if len(raw) > MOST_LINE:
            # No reader takes such a line: it would lose the ceremony on every log.
            text = f"{event.name} has {counted(len(raw))}, a line at most {MOST_LINE:,}"
            raise MediaTrouble("TRN-WRITE", text)
        if self._size + len(raw) >= MOST_LOG:
            raise MediaTrouble("TRN-WRITE", f"a log has at most {counted(MOST_LOG)}")
        if self._stopped:
            # Behind a line that may be torn no other line is written.
            raise self._stopped
        try:
            for path, file in zip(self._paths, self._files, strict=True):
                append(path, file, raw + b"\n")
        except MediaTrouble as stopped:
            self._stopped = stopped
            raise
        self._grow(raw, event, ceremony)

    def transcript(self) -> bytes:
        """Return the whole transcript as it stands on the first log."""
        try:
            return read_descriptor(self._files[0], MOST_LOG)
        except OSError as error:
            raise trouble("TRN-WRITE", self._paths[0], error) from None

    def close(self) -> None:
        """Close the log files."""
        while self._files:
            os.close(self._files.pop())

    def _grow(self, raw: bytes, event: Event, ceremony: str) -> None:
        if isinstance(event, Begun):
            self._ceremony, self._mode = ceremony, event.mode
        self._tree.append(raw)
        self._prev = link(raw)
        self._size += len(raw) + 1


def _set_aside(path: Path, file: int, log: Log) -> str:
    """Keep a torn or damaged last line as evidence beside the log, and cut it off."""
    if not log.torn:
        return ""
    digest = hashlib.sha256(log.torn).hexdigest()
    try:
        write_file(path.with_name(f"{TRANSCRIPT}.torn-{digest[:16]}"), (log.torn,))
    except OSError as error:
        raise trouble("TRN-WRITE", path, error) from None
    cut(path, file, sum(len(raw) + 1 for raw in log.raw))
    return f"{path.parent.name}: {len(log.torn)} bytes, sha256 {digest}"


def _repair(path: Path, file: int, missing: tuple[bytes, ...], log: Log) -> int:
    """Give a log the lines it lacks, all or none of them; return its descriptor."""
    if log.raw:
        append(path, file, missing[0] + b"\n")
        return file
    try:
        write_file(path, (raw + b"\n" for raw in missing))
    except OSError as error:
        raise trouble("TRN-WRITE", path, error) from None
    new = open_log(path)
    os.close(file)
    return new


@dataclass(frozen=True, slots=True)
class BundleFolder:
    """The folder that outputs go to, and the log folders beside it.

    `earlier` names outputs of a try that was broken off; what is not written again is removed.
    """

    folder: Path
    logs: tuple[Path, ...]
    earlier: tuple[str, ...] = ()

    def require_empty(self) -> None:
        """MED-OUTPUT: the output folder is new or empty, so nothing is ever overwritten."""
        try:
            empty = not self.folder.exists() or not any(self.folder.iterdir())
        except OSError as error:
            raise trouble("MED-WRITE", self.folder, error) from None
        if not empty:
            raise refuse("MED-OUTPUT", f"{shown(self.folder)} is not an empty folder")

    def require_own(self, names: tuple[str, ...]) -> None:
        """MED-OUTPUT: the folder holds only outputs named here, whole or begun, and our own."""
        own = {*names, TRANSCRIPT, CHECKPOINT, SUMS}
        try:
            if not self.folder.exists():
                return
            for name, _ in list_folder(self.folder, "MED-OUTPUT"):
                whole = name.removesuffix(TEMPORARY)
                signed = "/" not in whole and is_countersignature(whole)
                if not (name in own or whole in own or signed):
                    text = f"{shown(self.folder)} holds {escaped(name)}, which is not of this one"
                    raise refuse("MED-OUTPUT", text)
        except OSError as error:
            raise trouble("MED-WRITE", self.folder, error) from None

    def room(self) -> tuple[int, tuple[int, ...], bool]:
        """Return free bytes for outputs, for each log, and whether the folder is empty."""
        try:
            make_folder(self.folder)
            empty = not any(self.folder.iterdir())
            return _free(self.folder), tuple(_free(log) for log in self.logs), empty
        except OSError as error:
            raise trouble("MED-WRITE", self.folder, error) from None

    def write(self, outputs: tuple[Output, ...], report: Report) -> tuple[OutputFile, ...]:
        """Write every output under a temporary name, then rename all, then read all back."""
        total = sum(output.file.size for output in outputs)
        done = 0
        finals = [self._place(output.file.name) for output in outputs]
        renames = [(part_of(final), final) for final in finals]
        standing: list[Path] = []
        wanted = {output.file.name for output in outputs}
        self.withdraw(tuple(name for name in self.earlier if name not in wanted))
        try:
            for folder in sorted({self.folder, *(final.parent for final in finals)}):
                make_folder(folder)
            for output, (part, _) in zip(outputs, renames, strict=True):
                write_part(part, _pieces(output, done, total, report))
                done += output.file.size
            for part, final in renames:
                put_in_place(part, final)
                standing.append(final)
            for folder in sorted({final.parent for final in finals}):
                sync_folder(folder)
            return tuple(self._read_back(output.file.name, report) for output in outputs)
        except OSError as error:
            remove(*(part for part, _ in renames), *standing)
            raise trouble("MED-WRITE", self.folder, error) from None

    def withdraw(self, names: tuple[str, ...]) -> None:
        """Remove the outputs of these names, whole or begun."""
        finals = [self._place(name) for name in names]
        try:
            there = [final for final in finals if final.parent.is_dir()]
            take_back(*there, *(part_of(final) for final in there))
        except OSError as error:
            raise trouble("MED-WRITE", self.folder, error) from None

    def _place(self, name: str) -> Path:
        """Return where an output goes; MED-WRITE when a link would lead it elsewhere."""
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts:
            raise MediaTrouble("MED-WRITE", f"{escaped(name)} is not a name within the bundle")
        folder = self.folder
        for part in path.parts[:-1]:
            folder /= part
            if folder.is_symlink():
                raise MediaTrouble("MED-WRITE", f"{shown(folder)} is a link")
        return folder / path.name

    def _read_back(self, name: str, report: Report) -> OutputFile:
        path = self.folder / name
        size, digest = 0, hashlib.sha256()
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            # What is read back must come from the medium, not from memory.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                report(Progress(f"reading back {name}", size, size, "bytes"))
        return OutputFile(name, size, digest.hexdigest())


def _pieces(output: Output, done: int, total: int, report: Report) -> Iterator[Buffer]:
    """Yield an output's bytes, saying how far all of them are."""
    for piece in output.pieces():
        view = memoryview(piece)
        for start in range(0, len(view), CHUNK):
            yield view[start : start + CHUNK]
            done += len(view[start : start + CHUNK])
            report(Progress(f"writing {output.file.name}", done, total, "bytes"))


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
