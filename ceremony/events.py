"""Every event a transcript can hold, of five kinds that are never mixed.

observe    a fact from outside; recorded, never recomputed
ack        a named person said something, with the lines that were shown
decide     what a pure function concluded; replay recomputes it and compares bytes
effect     the intent before and the result after an act on the world
exception  what was expected, what happened, what was decided, by whom

An event's name begins with the word of its step; names that begin with "ceremony" may
stand in any step. Validation is in the constructors: an event that exists is well formed.
Those of kind observe stand in observed.py, what they are made of in event_parts.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from ceremony.codec import Json
from ceremony.event_parts import FORMAT, Blob, Kind, ManifestEntry, Outcome, OutputFile
from ceremony.observed import (
    Begun,
    ClockRead,
    Drawn,
    MachineSurveyed,
    MediaFailed,
    MediaRead,
    PolicyRead,
    Recovered,
    RoomMeasured,
    SecondOpinion,
    TimeFixed,
    TokenFailed,
    TokenProbed,
)
from ceremony.token import LoginResult, SignResult
from ceremony.types import Finding

__all__ = [
    "FORMAT",
    "NAMED",
    "Aborted",
    "Ack",
    "Begun",
    "Blob",
    "ClockRead",
    "Decided",
    "Drawn",
    "Event",
    "Excepted",
    "Intended",
    "Kind",
    "Locked",
    "LoggedIn",
    "MachineSurveyed",
    "ManifestEntry",
    "MediaFailed",
    "MediaRead",
    "Outcome",
    "OutputFile",
    "OutputsFailed",
    "OutputsIntended",
    "OutputsWritten",
    "PolicyRead",
    "Recovered",
    "RoomMeasured",
    "SecondOpinion",
    "Signed",
    "TimeFixed",
    "TokenFailed",
    "TokenProbed",
]


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
