"""The folder that outputs go to: what is put there stands whole or not at all.

An output counts when it was written under a temporary name, fsynced, renamed, its folder
fsynced, and read back from the medium.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ceremony.bundle import CHECKPOINT, SUMS, TRANSCRIPT
from ceremony.effects import Buffer, Output
from ceremony.errors import MediaTrouble, refuse
from ceremony.events import OutputFile
from ceremony.ingest.reading import CHUNK, list_folder
from ceremony.ports import Progress, Report
from ceremony.show import escaped
from transcripts.countersign import is_countersignature
from transcripts.files import (
    TEMPORARY,
    make_folder,
    part_of,
    put_in_place,
    remove,
    shown,
    sync_folder,
    take_back,
    trouble,
    write_part,
)


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

    def lacking(self, files: tuple[OutputFile, ...]) -> frozenset[str]:
        """Return the names of outputs that do not stand in the folder with their size."""
        return frozenset(file.name for file in files if not self._stands(file))

    def _stands(self, file: OutputFile) -> bool:
        try:
            status = self._place(file.name).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise trouble("MED-WRITE", self.folder, error) from None
        return stat.S_ISREG(status.st_mode) and status.st_size == file.size

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
            total = os.fstat(file.fileno()).st_size
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                report(Progress(f"reading back {name}", size, total, "bytes"))
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
