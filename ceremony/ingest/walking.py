"""One walk over a medium: regular files only, depth first by name, each opened in its folder.

Decides what is passed over and told: links, pipes and devices (MED-SPECIAL), what may not be
read (MED-PATH), and what is over a cap on names, folders and depth (MED-COUNT). Files and
folders are opened by their names in the folder that is open already, so that no path is gone
through twice and no link is followed that took a folder's place. Refuses to know what files hold.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from pathlib import Path

from ceremony.ingest import limits
from ceremony.ingest.reading import is_utf8
from ceremony.ingest.steady import kind_of
from ceremony.show import counted, escaped
from ceremony.types import Finding, Severity

FORBIDDEN = (errno.EACCES, errno.EPERM)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(slots=True)
class Told:
    """What a reading has to say: every refusal, and warnings up to a cap."""

    warnings: list[Finding] = field(default_factory=list)
    refusals: list[Finding] = field(default_factory=list)
    unlisted: int = 0

    def warn(self, rule: str, text: str) -> None:
        """Note what a person should know; what is over the cap is counted."""
        if len(self.warnings) < limits.MOST_WARNINGS:
            self.warnings.append(Finding(rule, Severity.WARN, text))
        else:
            self.unlisted += 1

    def refuse(self, rule: str, text: str) -> None:
        """Note what must stop the ceremony; none is ever left out."""
        self.refusals.append(Finding(rule, Severity.REFUSE, text))

    def problems(self) -> tuple[Finding, ...]:
        """Return every refusal, then the warnings and how many more there were."""
        if self.unlisted:
            text = f"{counted(self.unlisted, 'more warnings')} are not listed"
            more = (Finding("MED-COUNT", Severity.WARN, text),)
            return (*self.refusals, *self.warnings, *more)
        return (*self.refusals, *self.warnings)


@dataclass(slots=True)
class _Folder:
    """An open folder, and the names of the folders in it that are still to be gone into."""

    descriptor: int
    prefix: str
    folders: list[str] = field(default_factory=list)


def walk(root: Path, told: Told, stop: Callable[[int, str], str]) -> Iterator[tuple[str, str, int]]:
    """Yield (path below the root, name, open descriptor of its folder) of each regular file.

    `stop` is asked with the number of files and a path, and says why nothing more is read.
    """
    way = [_Folder(os.open(root, _FOLDER), "")]  # from the root to where we are
    files = folders = seen = 0
    here: _Folder | None = way[0]
    try:
        while here is not None:
            with os.scandir(here.descriptor) as scan:
                found = list(islice(scan, limits.MOST_ENTRIES - seen + 1))
            seen += len(found)
            if seen > limits.MOST_ENTRIES:
                told.refuse("MED-COUNT", f"more than {limits.MOST_ENTRIES:,} names")
                return
            for entry in sorted(found, key=attrgetter("name")):
                name = entry.name
                path = here.prefix + name
                if not is_utf8(name):
                    told.warn("MED-SPECIAL", f"{escaped(path)} is not a UTF-8 name")
                elif entry.is_dir(follow_symlinks=False):
                    folders += 1
                    if fault := _too_many(len(way), folders):
                        told.warn("MED-COUNT", f"{escaped(path)} is not read: {fault}")
                    else:
                        here.folders.append(name)
                elif not entry.is_file(follow_symlinks=False):
                    kind = kind_of(entry.stat(follow_symlinks=False).st_mode)
                    told.warn("MED-SPECIAL", f"{escaped(path)} is {kind}, not a regular file")
                else:
                    files += 1
                    if why := stop(files, path):
                        told.refuse("MED-COUNT", why)
                        return
                    yield path, name, here.descriptor
            here = _next(way, told)
    finally:
        for folder in way:
            os.close(folder.descriptor)


def _next(way: list[_Folder], told: Told) -> _Folder | None:
    """Open the next folder, in the one that holds it; None where there is none."""
    while way:
        here = way[-1]
        if not here.folders:
            os.close(way.pop().descriptor)
            continue
        name = here.folders.pop()
        prefix = f"{here.prefix}{name}/"
        try:
            descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=here.descriptor)
        except OSError as error:
            if error.errno not in FORBIDDEN:
                raise
            told.warn("MED-PATH", f"{escaped(prefix)} may not be read; nothing in it was")
            continue
        way.append(_Folder(descriptor, prefix))
        return way[-1]
    return None


def _too_many(depth: int, folders: int) -> str:
    if depth > limits.MOST_DEPTH:
        return f"it lies deeper than {limits.MOST_DEPTH} folders"
    if folders > limits.MOST_FOLDERS:
        return f"there are more than {limits.MOST_FOLDERS:,} folders"
    return ""
