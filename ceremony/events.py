"""Every event a transcript can hold, of five kinds that are never mixed.

observe    a fact from outside; recorded, never recomputed
ack        a named person said something, with the lines that were shown
decide     what a pure function concluded; replay recomputes it and compares bytes
effect     the intent before and the result after an act on the world
exception  what was expected, what happened, what was decided, by whom

An event's name begins with the word of its step; names that begin with "ceremony" may
stand in any step. Validation is in the constructors: an event that exists is well formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

from ceremony.attest.nar_media import NarFacts
from ceremony.codec import Json
from ceremony.machine import Machine
from ceremony.token import LoginResult, SignResult, TokenEvidence
from ceremony.types import Finding, Mode

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
class LoggedIn:
    """The result of one login, and who typed: one person, or each part's, in order.

    Never the PIN, its length or its hash.
    """

    name: ClassVar[str] = "sign.login"
    kind: ClassVar[Kind] = Kind.EFFECT
    persons: tuple[str, ...]
    result: LoginResult


@dataclass(frozen=True, slots=True)
class Intended:
    """What is about to be signed; on both log media before the token hears of it."""

    name: ClassVar[str] = "sign.intent"
    kind: ClassVar[Kind] = Kind.EFFECT
    attempt: int
    authenticode: str
    spki_sha256: str
    mechanism: str
    signing_time: str
    attributes: str
    plan_sha256: str


@dataclass(frozen=True, slots=True)
class Signed:
    """What came back from the token."""

    name: ClassVar[str] = "sign.result"
    kind: ClassVar[Kind] = Kind.EFFECT
    attempt: int
    result: SignResult


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What another implementation says of the signed image: accepted, refused or absent."""

    name: ClassVar[str] = "verify.second"
    kind: ClassVar[Kind] = Kind.OBSERVE
    tool: str
    answer: str
    text: str


@dataclass(frozen=True, slots=True)
class OutputsIntended:
    """Which outputs are about to be written, with the digests they must have."""

    name: ClassVar[str] = "seal.intent"
    kind: ClassVar[Kind] = Kind.EFFECT
    files: tuple[OutputFile, ...]


@dataclass(frozen=True, slots=True)
class OutputsWritten:
    """Which outputs were read back from the medium, with the digests found there."""

    name: ClassVar[str] = "seal.outputs"
    kind: ClassVar[Kind] = Kind.EFFECT
    files: tuple[OutputFile, ...]


@dataclass(frozen=True, slots=True)
class OutputsFailed:
    """The outputs could not be written; none of them stands under its final name."""

    name: ClassVar[str] = "seal.failed"
    kind: ClassVar[Kind] = Kind.EFFECT
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Ack:
    """A named person's answer to a question, with the lines that were shown."""

    kind: ClassVar[Kind] = Kind.ACK
    name: str
    role: str
    person: str
    shown: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A conclusion: how it came out, the findings, and the facts it establishes."""

    kind: ClassVar[Kind] = Kind.DECIDE
    name: str
    outcome: Outcome
    findings: tuple[Finding, ...]
    facts: Json


@dataclass(frozen=True, slots=True)
class Excepted:
    """A deviation from the script; the ceremony goes on."""

    name: ClassVar[str] = "ceremony.exception"
    kind: ClassVar[Kind] = Kind.EXCEPTION
    person: str
    expected: str
    happened: str
    decided: str


@dataclass(frozen=True, slots=True)
class Aborted:
    """A named person ended the ceremony, and why."""

    name: ClassVar[str] = "ceremony.abort"
    kind: ClassVar[Kind] = Kind.EXCEPTION
    person: str
    reason: str


@dataclass(frozen=True, slots=True)
class Locked:
    """The screen was locked, and by whose word it was unlocked."""

    name: ClassVar[str] = "ceremony.lock"
    kind: ClassVar[Kind] = Kind.EXCEPTION
    person: str
    seconds: int


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


Event: TypeAlias = (
    Begun
    | PolicyRead
    | ClockRead
    | MachineSurveyed
    | MediaRead
    | MediaFailed
    | Drawn
    | TokenProbed
    | TokenFailed
    | RoomMeasured
    | TimeFixed
    | LoggedIn
    | Intended
    | Signed
    | SecondOpinion
    | OutputsIntended
    | OutputsWritten
    | OutputsFailed
    | Ack
    | Decided
    | Excepted
    | Aborted
    | Locked
    | Recovered
)

NAMED: dict[str, type[Event]] = {
    event.name: event
    for event in (
        Begun,
        PolicyRead,
        ClockRead,
        MachineSurveyed,
        MediaRead,
        MediaFailed,
        Drawn,
        TokenProbed,
        TokenFailed,
        RoomMeasured,
        TimeFixed,
        LoggedIn,
        Intended,
        Signed,
        SecondOpinion,
        OutputsIntended,
        OutputsWritten,
        OutputsFailed,
        Excepted,
        Aborted,
        Locked,
        Recovered,
    )
}
