"""The nouns of the ceremony that every room shares: Digest, Finding, MediaFile, ImageFacts, ...

This file decides only shapes. It refuses to know how any of them is computed.
A digest is never bare bytes or str here: it carries its kind, and comparing two
kinds is a programming error, not an inequality.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

SHA256_BYTES = 32
# Digests of one file as (algorithm, lower-case hex).
DigestPairs: TypeAlias = tuple[tuple[str, str], ...]


class DigestKind(StrEnum):
    """What a digest is over; two kinds never compare."""

    FILE_SHA256 = "file-sha256"
    AUTHENTICODE_SHA256 = "authenticode-sha256"
    SPKI_SHA256 = "spki-sha256"
    EVENT_SHA256 = "event-sha256"
    PLAN_SHA256 = "plan-sha256"
    SHOWN_SHA256 = "shown-sha256"


@dataclass(frozen=True, slots=True, eq=False)
class Digest:
    """A SHA-256 value of one kind, 32 bytes."""

    kind: DigestKind
    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != SHA256_BYTES:
            raise TypeError(f"a {self.kind} digest has 32 bytes, not {len(self.value)}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Digest):
            return NotImplemented
        if self.kind is not other.kind:
            raise TypeError(f"compared a {self.kind} digest with a {other.kind} digest")
        return self.value == other.value

    def __hash__(self) -> int:
        return hash((self.kind, self.value))

    @property
    def hex(self) -> str:
        """Return the 64 lower-case hex digits."""
        return self.value.hex()

    @classmethod
    def from_hex(cls, kind: DigestKind, text: str) -> Digest:
        """Make a digest of `kind` from 64 lower-case hex digits."""
        return cls(kind, bytes.fromhex(text))


class Mode(StrEnum):
    """Whether a ceremony makes a release signature or is practice."""

    REHEARSAL = "rehearsal"
    PRODUCTION = "production"


class Severity(StrEnum):
    """What a finding does: refuse stops, warn and info are shown and recorded."""

    REFUSE = "refuse"
    WARN = "warn"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer: the rule id, how grave it is, and the fact in a sentence.

    `offset` is the byte offset in the file the fact was found at, where one exists.
    """

    rule: str
    severity: Severity
    text: str
    offset: int | None = None


def refusals(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings that refuse, in the order found."""
    return tuple(f for f in findings if f.severity is Severity.REFUSE)


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One small file taken from media: its path as found there and its bytes."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Section:
    """One PE section: raw file range and mapped range in bytes, digest of the raw bytes.

    `content` is the digest of what was put into it, without the padding behind.
    """

    name: str
    offset: int
    size: int
    virtual_address: int
    virtual_size: int
    characteristics: int
    sha256: Digest
    content: Digest


@dataclass(frozen=True, slots=True)
class EmbeddedSignature:
    """One WIN_CERTIFICATE entry found in an image: who it names and what it covers."""

    offset: int
    size: int
    signer: str
    authenticode: Digest | None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a UKI would do when booted, in people's words (empty where absent)."""

    os_release: tuple[tuple[str, str], ...]
    kernel: str
    command_line: str
    initrd: str
    sbat: tuple[str, ...]
    stub: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """All that the strict parser found out about one image.

    `unsigned` are the files that it may have been before it was signed; an image without a
    signature has none.
    """

    size: int
    sha256: Digest
    authenticode: Digest | None
    machine: str
    sections: tuple[Section, ...]
    signatures: tuple[EmbeddedSignature, ...]
    meaning: Meaning
    findings: tuple[Finding, ...]
    unsigned: tuple[Digest, ...] = ()

    @property
    def accepted(self) -> bool:
        """True when no finding refuses."""
        return not refusals(self.findings)
