"""The journal on its log media: a line counts when it was written and fsynced on every one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from ceremony.bundle import TRANSCRIPT
from ceremony.errors import MediaTrouble, refuse
from ceremony.events import Begun, Event, Recovered
from ceremony.ingest.reading import read_descriptor
from ceremony.show import counted
from ceremony.types import Mode
from transcripts.canon import MOST_LINE
from transcripts.checkpoint import Head, origin
from transcripts.files import (
    MOST_LOG,
    append,
    check_together,
    cut,
    open_log,
    read_log_file,
    shown,
    trouble,
    write_file,
)
from transcripts.log import FIRST, Line, Log, Stamp, link
from transcripts.merkle import Tree
from transcripts.outputs import BundleFolder

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

    @property
    def begun(self) -> bool:
        """True where there is a log on any medium, good or not."""
        return any(os.path.lexists(path) for path in self._paths)

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
