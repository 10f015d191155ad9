"""Taking back an attestation: a signed statement with the pin `retracts sha256:<hex>`.

The pin names the SHA-256 of the attestation's own file (the signature, the envelope), so
the statement was made after it, whatever their clocks say. Decides which attestations stand
no more: those named by an enrolled key of their own principal, and copies of them that say
the same in other bytes. Both stay in the verdict. Refuses to know votes and the image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ceremony.attest.record import Attestation, Claims
from ceremony.show import escaped
from ceremony.types import Finding, Severity

PIN = "retracts"
RULE = "QRM-RETRACTION"
_NAMED = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Retractions:
    """Which attestations (by place in the list) are taken back by which file, and the report."""

    by: Mapping[int, str]
    findings: tuple[Finding, ...]


def named(claims: Claims) -> str | None:
    """Return the hash that a statement takes back, "" for an impossible one, None for none."""
    for name, value in claims.pins:
        if name == PIN:
            found = _NAMED.fullmatch(value)
            return found[1] if found else ""
    return None


def retractions(
    attestations: Sequence[Attestation], speaks: Sequence[bool], principal: Mapping[str, str]
) -> Retractions:
    """Return what is taken back among verified attestations.

    `speaks` says of each whether its key and time may speak at all by the policy. What was
    taken back once stays so: who errs in that attests again.
    """
    if not any(speaks):
        return Retractions({}, ())
    by_hash: dict[str, list[Attestation]] = {}
    for one in attestations:
        by_hash.setdefault(one.sha256, []).append(one)
    gone: dict[tuple[str, Claims], str] = {}
    findings: dict[Finding, None] = {}
    for one, may in sorted(zip(attestations, speaks, strict=True), key=lambda p: p[0].file):
        wanted = named(one.claims)
        if wanted is None or not may:
            continue
        found = by_hash.get(wanted, [])
        own = [other for other in found if principal[other.builder] == principal[one.builder]]
        if not own:
            findings[_void(one, wanted, found=bool(found))] = None
        for other in own:
            # A copy in other bytes (an envelope written anew) says the same, so it goes too.
            gone.setdefault((other.builder, other.claims), one.file)
    if not gone:
        return Retractions({}, tuple(findings))
    by = {
        place: file
        for place, one in enumerate(attestations)
        if (file := gone.get((one.builder, one.claims)))
    }
    return Retractions(by, tuple(findings))


def _void(one: Attestation, wanted: str, *, found: bool) -> Finding:
    who = f"{escaped(one.file)} of {escaped(one.builder)}"
    if found:
        text = f"{who} takes back {wanted[:16]}, which is another's"
    elif wanted:
        text = f"{who} takes back {wanted[:16]}, which is not here"
    else:
        text = f"{who} takes back something, but not as sha256: and 64 hex digits"
    return Finding(RULE, Severity.WARN, text)
