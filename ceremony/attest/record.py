"""What every attestation is read into, whatever its format.

Decides the one record the judge sees: who signed, which artifacts with which digests, from
which inputs, when. A reading that yields less says so: Unverified (well-formed, but no
enrolled key stands behind it) or Malformed. Refuses to know policy rules and votes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

from ceremony.attest.ssh_certificate import SshCertificate
from ceremony.errors import refuse
from ceremony.keys import PublicKey, Scheme
from ceremony.show import escaped

MOST_PINS = 64
MOST_VALUE = 256
SELF_CLAIMS = ("builder", "organisation", "isolation", "cpu_vendor", "host", "network", "os")
TIMESTAMP = "timestamp"
_OF_ITSELF = frozenset(SELF_CLAIMS)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_VALUES = {
    "git_commit": re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}"),
    "flake_lock": re.compile(r"[0-9a-f]{64}"),
    TIMESTAMP: re.compile(r"[0-9]{1,11}"),
}


@lru_cache(maxsize=1024)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Artifact:
    """One named file and its digests as (algorithm, lower-case hex), sorted."""

    name: str
    digests: Pairs

    def digest(self, algorithm: str) -> str:
        """Return the digest of an algorithm, "" where none is given."""
        for name, value in self.digests:
            if name == algorithm:
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a document says, whoever signed it. Pins and self-claims are sorted by name."""

    artifacts: tuple[Artifact, ...]
    pins: Pairs
    time: datetime | None
    self_claims: Pairs


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody checks an attestation by who did not read it (proof.py).

    `content` is what its claims were read from, `parts` what else the format has signed.
    """

    content: bytes
    signature: bytes
    parts: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Attestation:
    """Claims that an enrolled key signed. `sha256` (hex) is over the signature's own file.

    `proof` is None where only the reader itself can check, as for a Sigstore bundle. With a
    `certificate` the enrolled `key` is the authority's that signed it.
    """

    file: str
    format: str
    sha256: str
    builder: str
    key: PublicKey
    scheme: Scheme
    touched: bool
    claims: Claims
    proof: Proof | None = None
    certificate: SshCertificate | None = None


@dataclass(frozen=True, slots=True)
class Unverified:
    """Well-formed, but no enrolled key signed it: which rule fails and what it would say."""

    file: str
    format: str
    builder: str
    rule: str
    text: str
    claims: Claims | None


@dataclass(frozen=True, slots=True)
class Malformed:
    """Not of its format: which rule fails; `builder` where the signature was good."""

    file: str
    format: str
    builder: str
    rule: str
    text: str


Reading: TypeAlias = Attestation | Unverified | Malformed


class Pins:
    """Collects what a document says of its inputs, its time and its builder.

    A known pin that is said twice with two values, or has an impossible value, is a fault
    (ATT-PIN). An unknown one that contradicts itself says nothing and is left out.
    """

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._ambiguous: set[str] = set()

    def add(self, name: str, value: str) -> None:
        """Take one pin."""
        if self._values.get(name) == value:  # it was looked at when it was said first
            return
        if not _is_name(name) or not 0 < len(value) <= MOST_VALUE:
            return
        pattern = _VALUES.get(name)
        if pattern is None or not pattern.fullmatch(value):
            if not value.isascii() or not value.isprintable():
                return
            if pattern:
                raise refuse("ATT-PIN", f"{name} has the impossible value {escaped(value)}")
        if self._values.setdefault(name, value) != value:
            if pattern or name in SELF_CLAIMS:
                raise refuse("ATT-PIN", f"{name} is said twice with different values")
            self._ambiguous.add(name)
        if len(self._values) > MOST_PINS:
            raise refuse("ATT-PIN", f"more than {MOST_PINS} pins")

    def claims(self, artifacts: tuple[Artifact, ...], time: datetime | None = None) -> Claims:
        """Return what was collected together with the artifacts."""
        pins: list[tuple[str, str]] = []
        self_claims: list[tuple[str, str]] = []
        for pair in sorted(self._values.items()):
            if pair[0] in _OF_ITSELF:
                self_claims.append(pair)
            elif pair[0] != TIMESTAMP and pair[0] not in self._ambiguous:
                pins.append(pair)
        stamp = self._values.get(TIMESTAMP)
        if stamp is not None and time is None:
            time = datetime.fromtimestamp(int(stamp), UTC)
        return Claims(artifacts, tuple(pins), time, tuple(self_claims))
