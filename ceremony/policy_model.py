"""The signed policy as frozen dataclasses, table by table as in the TOML file.

Decides only shapes and names; policy.py reads and checks them. Durations are seconds,
moments are aware UTC datetimes, severities say what a fault does (report = warn).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from ceremony.attest.key_ids import in_toto_key_id
from ceremony.keys import PublicKey
from ceremony.policy_people import (
    Builder,
    BuilderKey,
    KeyWrapping,
    NamedKey,
    Person,
    Revoked,
)
from ceremony.policy_signer import Signer
from ceremony.quorum_rules import Component, Group, QuorumRule
from ceremony.release_rules import LedgerRule, VersionRule
from ceremony.types import Digest, Severity

Holders: TypeAlias = tuple[tuple[Builder, BuilderKey], ...]

SCHEMA = "uki-ceremony/policy/1"
POLICY_NAMESPACE = "policy@uki-ceremony"

MOST_POLICY_BYTES = 1 << 20
MOST_BUILDERS = 4096
MOST_PERSONS = 256

ALGORITHMS = (
    *("ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "ecdsa-p521-sha512"),
    *("rsa>=3072-sha256", "sk-ssh-ed25519", "sk-ecdsa-p256"),
    "sigstore",  # an identity; its certificate's key lives for minutes
)
# A key of one of these signs what it likes; the other wrappings belong to a format of their own.
_BARE = (KeyWrapping.SSH, KeyWrapping.MINISIGN, KeyWrapping.SPKI)
SECTIONS = (".osrel", ".uname", ".sbat", ".cmdline", ".initrd", ".linux")


class Missing(StrEnum):
    """What becomes of an attestation that lacks a pin of must_agree."""

    WEAK = "weak"
    REJECT = "reject"


class Approving(StrEnum):
    """How key holders approve the plan: with a signature each, or by typing a word."""

    SIGNATURE = "signature"
    TYPED = "typed"  # in a rehearsal only


class Untimed(StrEnum):
    """What becomes of an attestation that says no time."""

    ALLOW = "allow"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Owners:
    """Who signs the policy: `threshold` distinct keys of `keys`."""

    threshold: int
    keys: tuple[NamedKey, ...]


@dataclass(frozen=True, slots=True)
class ArtifactRule:
    """What may be signed: exact names, the architecture, the size in bytes."""

    names: tuple[str, ...]
    arch: str
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Which pins make two builds builds of the same thing."""

    must_agree: tuple[str, ...]
    missing: Missing
    flake_lock_file: str


@dataclass(frozen=True, slots=True)
class OverrideRule:
    """How many operators may set a veto aside; 0 means none ever."""

    operators: int


@dataclass(frozen=True, slots=True)
class DissentRule:
    """What a verified other answer does. On the same inputs it is always a veto."""

    same_inputs: str
    other_inputs: Severity
    unverified: Severity
    override: OverrideRule


@dataclass(frozen=True, slots=True)
class TimeRule:
    """How old an attestation may be and how far clocks may differ, in seconds."""

    max_age: int
    future_skew: int
    max_drift: int
    untimed: Untimed


@dataclass(frozen=True, slots=True)
class Gates:
    """What the image must contain, and how grave what some builders leave in it is."""

    sections: tuple[str, ...]
    overlay: Severity
    signed_input: Severity
    writable_code: Severity = Severity.WARN
    mapped_over: Severity = Severity.WARN


@dataclass(frozen=True, slots=True)
class Roles:
    """Who does what, by person id."""

    administrator: str
    internal_witness: str
    external_witness: str
    key_holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number of distinct persons."""

    threshold: int


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """How many distinct key holders approve a signature's plan, and how."""

    threshold: int
    by: Approving = Approving.SIGNATURE


@dataclass(frozen=True, slots=True)
class MachineTopics:
    """How grave it is that the machine has these."""

    network: Severity
    swap: Severity
    block_devices: Severity


@dataclass(frozen=True, slots=True)
class ReadBackRule:
    """How many of the 32 words of the image's digest are asked for."""

    words: int


@dataclass(frozen=True, slots=True)
class Outputs:
    """What goes into the bundle besides what always does."""

    unsigned: bool


@dataclass(frozen=True)
class Policy:
    """The whole policy and the SHA-256 of the file it was read from.

    `version` and `ledger` are None where the policy demands none. `source` is that file, for
    whoever has to read it again elsewhere.
    """

    sha256: Digest
    policy_id: str
    sequence: int
    valid_from: datetime
    expires: datetime
    owners: Owners
    artifact: ArtifactRule
    inputs: Inputs
    quorum: QuorumRule
    groups: tuple[Group, ...]
    dissent: DissentRule
    time: TimeRule
    algorithms: tuple[str, ...]
    gates: Gates
    signer: Signer
    roles: Roles
    approvals: ApprovalRule
    countersignatures: Threshold
    machine: MachineTopics
    read_back: ReadBackRule
    outputs: Outputs
    persons: tuple[Person, ...]
    builders: tuple[Builder, ...]
    revoked: tuple[Revoked, ...]
    version: VersionRule | None = None
    ledger: LedgerRule | None = None
    sunset: tuple[tuple[str, datetime], ...] = ()
    components: tuple[Component, ...] = ()
    source: bytes = field(default=b"", repr=False, compare=False)

    @cached_property
    def enrolled(self) -> Mapping[str, tuple[Builder, BuilderKey]]:
        """Return builder and enrolled key by key identity."""
        return {key.key.fpr: (builder, key) for builder in self.builders for key in builder.keys}

    def by_key_id(self, wrapping: KeyWrapping, key_id: str) -> Holders:
        """Return the keys in one wrapping that have an id, which two keys may share."""
        return self._by_key_id.get((wrapping, key_id), ())

    @cached_property
    def _by_key_id(self) -> Mapping[tuple[KeyWrapping, str], Holders]:
        found: dict[tuple[KeyWrapping, str], Holders] = {}
        for holder in self.enrolled.values():
            at = (holder[1].wrapping, holder[1].key_id)
            if at[1]:
                found[at] = (*found.get(at, ()), holder)
        return found

    @cached_property
    def by_minisign_id(self) -> Mapping[str, Holders]:
        """Return the minisign keys by their id."""
        return {
            key_id: holders
            for (wrapping, key_id), holders in self._by_key_id.items()
            if wrapping is KeyWrapping.MINISIGN
        }

    @cached_property
    def bare_keys(self) -> tuple[PublicKey, ...]:
        """Return the keys that may sign DSSE envelopes; a security key cannot."""
        return tuple(
            key.key
            for _, key in self.enrolled.values()
            if not key.key.is_security_key and key.wrapping in _BARE
        )

    @cached_property
    def by_hint(self) -> Mapping[str, tuple[PublicKey, ...]]:
        """Return the bare keys by what a keyid may say: identity, builder, in-toto's id."""
        found: dict[str, tuple[PublicKey, ...]] = {}
        for key in self.bare_keys:
            builder = self.enrolled[key.fpr][0].id
            hints = {key.fpr, key.fpr.removeprefix("sha256:"), builder, in_toto_key_id(key)}
            for hint in hints - {""}:
                found[hint] = (*found.get(hint, ()), key)
        return found

    def algorithms_at(self, now: datetime) -> tuple[str, ...]:
        """Return the algorithms that are allowed at a moment: those whose sun has not set."""
        if not self.sunset:
            return self.algorithms
        over = {name for name, moment in self.sunset if now >= moment}
        return tuple(name for name in self.algorithms if name not in over)

    @cached_property
    def builder_named(self) -> Mapping[str, Builder]:
        """Return the builders by id."""
        return {builder.id: builder for builder in self.builders}

    @cached_property
    def revocations(self) -> Mapping[str, Revoked]:
        """Return the revocations of keys by their identity."""
        return {entry.fpr: entry for entry in self.revoked if entry.whole}
