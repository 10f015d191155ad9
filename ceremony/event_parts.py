"""What events are made of: their kinds, outcomes, and the small shapes that several of them hold.

Decides only these shapes. It refuses to know which events there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

FORMAT = "uki-ceremony/transcript/1"


class Kind(StrEnum):
    """The five kinds of events."""

    OBSERVE = "observe"
    ACK = "ack"
    DECIDE = "decide"
    EFFECT = "effect"
    EXCEPTION = "exception"


class Outcome(StrEnum):
    """How a decision or a whole ceremony came out."""

    OK = "ok"
    REFUSED = "refused"
    OVERRIDE_NEEDED = "override-needed"
    ABORTED = "aborted"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class Blob:
    """One small file kept in the transcript: UTF-8 text as it is, anything else as base64.

    `encoding` is "utf-8" or "base64", in base64's one spelling (RFC 4648, no stray bits).
    """

    path: str
    encoding: str
    content: str


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One regular file on a medium: path, size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One output: its name in the bundle, size in bytes, SHA-256 in hex."""

    name: str
    size: int
    sha256: str
