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
from ceremony.ingest.walking import Told
from ceremony.show import counted

_ESCAPED = b'\n\t"\\'  # in two bytes
_ENCODER = json.JSONEncoder(ensure_ascii=False)


@dataclass(slots=True)
class Taking:
    """What one reading of a medium gathers."""

    told: Told = field(default_factory=Told)
    manifest: list[ManifestEntry] = field(default_factory=list)
    files: list[Blob] = field(default_factory=list)
    names: int = 0
    image: tuple[ManifestEntry, SealedCopy] | None = None
    small: int = 0
    archives: list[NarFacts] = field(default_factory=list)
    purse: Purse = field(default_factory=Purse)

    def stop(self, files: int, path: str) -> str:
        """Return why nothing more is read, if so."""
        if files > limits.MOST_FILES:
            return f"more than {limits.MOST_FILES:,} files"
        # No character takes more than the six bytes of \u0000.
        near = self.names + 6 * len(path) + 2 > limits.MOST_NAMES
        if near and self.names + in_json(path) > limits.MOST_NAMES:
            return f"the names of the files are over {counted(limits.MOST_NAMES)} together"
        if len(self.told.refusals) >= limits.MOST_REFUSALS:
            return f"reading stopped after {limits.MOST_REFUSALS:,} refusals"
        return ""


def over_cap(size: int, cap: int, room: int) -> str:
    """Return what a small file has that is not read for its size, where `room` bytes are left."""
    if cap == room:
        total = f"all small files together have {limits.MOST_SMALL_TOTAL:,}"
        over = f"the {cap:,} that are left: {total} at most"
    else:
        over = f"the cap of {cap:,}"
    return f"{counted(size)}, over {over}; it was not read"


def in_json(text: str) -> int:
    """Return how many bytes a string has as a transcript's JSON."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return len(text) + 2
    return len(_ENCODER.encode(text).encode())


def held_in_json(blob: Blob, copy: bytes) -> int:
    """Return how many bytes a blob's content has as a transcript's JSON: to_blob left no others."""
    if blob.encoding != "utf-8":
        return len(blob.content) + 2
    return 2 * len(copy) + 2 - len(copy.translate(None, _ESCAPED))
