"""Whether this release may follow those that the ledger tells of.

Decides by policy, ledger, version and the image's digest: no older policy, no lower version,
no version for other bytes, the same bytes again only as the policy says, and no attestation
gone that lay before the last ceremony about this image. Refuses to know how a ledger is
read and how a version is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ceremony.errors import Refused
from ceremony.ledger import Ended, Entry, Ledger
from ceremony.policy_model import Policy
from ceremony.release_rules import Resign, VersionOrder, VersionRule
from ceremony.show import escaped
from ceremony.types import Finding, Severity
from ceremony.version import Version, parse


def ledger_findings(
    policy: Policy,
    ledger: Ledger,
    version: Version | None,
    digests: Collection[str],
    attestations: Collection[str] | None = None,
) -> tuple[Finding, ...]:
    """Return what the ledger says against (or of) signing an image as `version`.

    `digests` are its SHA-256 (hex): one, or those of every form of an image signed already.

    `attestations` are the SHA-256 (hex) of the files on the media, None where nobody looks.
    A policy that demands no ledger gets no finding; a None version is judged elsewhere.
    """
    if policy.ledger is None:
        return ()
    return (
        *ledger.findings,
        *_policy_findings(policy, ledger.entries),
        *_version_findings(policy.version, ledger.entries, version, digests),
        *_vanished(ledger.entries, version, digests, attestations),
    )


def _policy_findings(policy: Policy, entries: Sequence[Entry]) -> Iterator[Finding]:
    """POL-SEQUENCE, QRM-LEDGER: the ledger is this policy's, and this policy is its newest."""
    others = sorted({entry.policy_id for entry in entries} - {policy.policy_id})
    if others:
        text = f"the ledger tells of the policy {escaped(others[0])}, not {policy.policy_id}"
        yield Finding("QRM-LEDGER", Severity.REFUSE, escaped(text, 300))
        return
    if not entries:
        return
    last = max(entries, key=lambda entry: entry.policy_sequence)
    again = {e.policy_sha256 for e in entries if e.policy_sequence == last.policy_sequence}
    if policy.sequence > last.policy_sequence:
        return
    if policy.sequence == last.policy_sequence and again == {policy.sha256.hex}:
        return
    text = f"the policy's sequence {policy.sequence} does not exceed the last, "
    text += f"{last.policy_sequence}, of another policy file"
    yield Finding("POL-SEQUENCE", Severity.REFUSE, text)


def _version_findings(
    rule: VersionRule | None,
    entries: Sequence[Entry],
    version: Version | None,
    digests: Collection[str],
) -> Iterator[Finding]:
    """QRM-REUSE, QRM-ROLLBACK, QRM-RESIGN: against everything that was ever signed."""
    if rule is None or version is None:
        return
    signed = [entry for entry in entries if entry.ended is Ended.SIGNED and entry.version]
    past: list[tuple[Version, Entry]] = []
    for entry in signed:
        try:
            past.append((parse(entry.version, rule.scheme), entry))
        except Refused:
            text = f"the ledger's version {escaped(entry.version)} is none of {rule.scheme}"
            yield Finding("QRM-LEDGER", Severity.REFUSE, text)
    name = escaped(version.text)
    same = [(old, entry) for old, entry in past if old.order == version.order]
    for old, entry in same:
        if entry.sha256 not in digests:
            text = f"{name}: {escaped(old.text)} was signed for other bytes, {entry.sha256[:16]}"
            yield Finding("QRM-REUSE", Severity.REFUSE, text)
            return
    greatest = max(past, key=lambda pair: pair[0].order, default=None)
    if greatest is None:
        return
    if version.order < greatest[0].order and rule.rule is VersionOrder.STRICTLY_GREATER:
        text = f"{name} is lower than {escaped(greatest[0].text)}, which was signed"
        yield Finding("QRM-ROLLBACK", Severity.REFUSE, text)
    if same:
        allowed = rule.same_digest_resign is Resign.ALLOW_LOGGED
        text = f"{name} was signed for these very bytes, on {same[-1][1].time[:10]}"
        severity = Severity.WARN if allowed else Severity.REFUSE
        yield Finding("QRM-RESIGN", severity, text)


def _vanished(
    entries: Sequence[Entry],
    version: Version | None,
    digests: Collection[str],
    attestations: Collection[str] | None,
) -> Iterator[Finding]:
    """QRM-VANISHED: what lay before the last ceremony about this image still lies here."""
    if attestations is None:
        return
    text = version.text if version else ""
    about = [e for e in entries if e.sha256 in digests or (text and e.version == text)]
    if not about:
        return
    for gone in sorted(set(about[-1].attestations).difference(attestations)):
        told = f"the attestation {gone[:16]} of the ceremony of {about[-1].time[:10]} is not here"
        yield Finding("QRM-VANISHED", Severity.WARN, told)
