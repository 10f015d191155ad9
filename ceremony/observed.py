"""The events of kind observe: facts from outside, recorded and never recomputed.

Decides only their shapes; which events follow on them is the engine's. They stand in the order
in which a ceremony meets them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ceremony.attest.nar_media import NarFacts
from ceremony.event_parts import Blob, Kind, ManifestEntry
from ceremony.machine import Machine
from ceremony.token import TokenEvidence
from ceremony.types import Finding, Mode


@dataclass(frozen=True, slots=True)
class Begun:
    """The first line: which ceremony, in which mode, by which tool and rules."""

    name: ClassVar[str] = "open.begin"
    kind: ClassVar[Kind] = Kind.OBSERVE
    format: str
    ceremony: str
    mode: Mode
    ruleset: str
    steps: tuple[str, ...]
    tool: str
    tool_sha256: str
    python: str
    logs: tuple[str, ...]
    previous_head: str | None


@dataclass(frozen=True, slots=True)
class PolicyRead:
    """The policy file and the signatures found beside it, whole."""

    name: ClassVar[str] = "open.policy"
    kind: ClassVar[Kind] = Kind.OBSERVE
    policy: Blob
    signatures: tuple[Blob, ...]


@dataclass(frozen=True, slots=True)
class ClockRead:
    """The machine's clock at one moment, UTC, as "YYYY-MM-DDTHH:MM:SSZ"."""

    name: ClassVar[str] = "open.clock"
    kind: ClassVar[Kind] = Kind.OBSERVE
    wall: str


@dataclass(frozen=True, slots=True)
class MachineSurveyed:
    """The machine as it describes itself."""

    name: ClassVar[str] = "inventory.machine"
    kind: ClassVar[Kind] = Kind.OBSERVE
    machine: Machine


@dataclass(frozen=True, slots=True)
class MediaRead:
    """A medium was read once, whole: its manifest, the image's digests, the small files.

    `image_again` is the SHA-256 of the copy in memory, taken after reading. `archives` are
    Nix archives, which passed through and left only what they hold.
    """

    name: ClassVar[str] = "ingest.media"
    kind: ClassVar[Kind] = Kind.OBSERVE
    source: str
    mount: str
    manifest: tuple[ManifestEntry, ...]
    image: ManifestEntry | None
    image_again: str
    files: tuple[Blob, ...]
    archives: tuple[NarFacts, ...]
    problems: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class MediaFailed:
    """A medium could not be read to its end."""

    name: ClassVar[str] = "ingest.failed"
    kind: ClassVar[Kind] = Kind.OBSERVE
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """The positions of the words that are asked for, 1 to 32, drawn by chance."""

    name: ClassVar[str] = "read_back.drawn"
    kind: ClassVar[Kind] = Kind.OBSERVE
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenProbed:
    """The token as its module describes it, before any PIN."""

    name: ClassVar[str] = "sign.token"
    kind: ClassVar[Kind] = Kind.OBSERVE
    evidence: TokenEvidence


@dataclass(frozen=True, slots=True)
class TokenFailed:
    """The token, its module or its reader failed outside the act of signing."""

    name: ClassVar[str] = "sign.trouble"
    kind: ClassVar[Kind] = Kind.OBSERVE
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class RoomMeasured:
    """Free bytes on the output medium and on each log medium, and the output folder's state."""

    name: ClassVar[str] = "sign.room"
    kind: ClassVar[Kind] = Kind.OBSERVE
    output_free: int
    log_free: tuple[int, ...]
    output_empty: bool


@dataclass(frozen=True, slots=True)
class TimeFixed:
    """The clock reading that becomes the signature's signingTime, once people confirm it."""

    name: ClassVar[str] = "sign.time"
    kind: ClassVar[Kind] = Kind.OBSERVE
    wall: str


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What another implementation says of the signed image: accepted, refused or absent."""

    name: ClassVar[str] = "verify.second"
    kind: ClassVar[Kind] = Kind.OBSERVE
    tool: str
    answer: str
    text: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """The process ended and was started again; what was found in each log.

    `head` are the six head words over the lines that were there; replay recomputes both.
    `torn` and `repaired` say, log by log, what was set aside and what was written again.
    """

    name: ClassVar[str] = "ceremony.recovered"
    kind: ClassVar[Kind] = Kind.OBSERVE
    lines: int
    head: str
    torn: tuple[str, ...]
    repaired: tuple[str, ...]
    tool: str = ""
    tool_sha256: str = ""
