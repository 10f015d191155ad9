"""What one reading of a medium gathers, and how much of it there may be.

Decides which finding is listed and when reading stops, by caps (limits.py); what a file takes in
the transcript is counted as its JSON will have it. It refuses to know files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from ceremony.attest.nar_media import NarFacts
from ceremony.events import Blob, ManifestEntry
from ceremony.ingest import limits
from ceremony.ingest.sealed_copy import SealedCopy
from ceremony.ingest.unpacking import Purse
from ceremony.show import counted, escaped
from ceremony.types import Finding, Severity

_ESCAPED = b'\n\t"\\'  # in two bytes
_ENCODER = json.JSONEncoder(ensure_ascii=False)


@dataclass(slots=True)
class Taking:
    """What one reading of a medium gathers."""

    manifest: list[ManifestEntry] = field(default_factory=list)
    files: list[Blob] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    refusals: list[Finding] = field(default_factory=list)
    unlisted: int = 0
    names: int = 0
    image: tuple[ManifestEntry, SealedCopy] | None = None
    small: int = 0
    archives: list[NarFacts] = field(default_factory=list)
    purse: Purse = field(default_factory=Purse)

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


def why_stop(taking: Taking, files: int, path: str) -> str:
    """Return why nothing more is read, if so."""
    if files > limits.MOST_FILES:
        return f"more than {limits.MOST_FILES:,} files"
    # No character takes more than the six bytes of \u0000.
    near = taking.names + 6 * len(path) + 2 > limits.MOST_NAMES
    if near and taking.names + in_json(path) > limits.MOST_NAMES:
        return f"the names of the files are over {counted(limits.MOST_NAMES)} together"
    if len(taking.refusals) >= limits.MOST_REFUSALS:
        return f"reading stopped after {limits.MOST_REFUSALS:,} refusals"
    return ""


def over_cap(path: str, size: int, cap: int) -> str:
    """Return what is said of a file that is not read for its size."""
    return f"{escaped(path)} has {counted(size)}, over the cap of {cap:,}; it was not read"


def in_json(text: str) -> int:
    """Return how many bytes a string has as a transcript's JSON."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return len(text) + 2
    return len(_ENCODER.encode(text).encode())


def held_in_json(blob: Blob, copy: bytearray) -> int:
    """Return how many bytes a blob's content has as a transcript's JSON: to_blob left no others."""
    if blob.encoding != "utf-8":
        return len(blob.content) + 2
    return 2 * len(copy) + 2 - len(copy.translate(None, _ESCAPED))
