"""Approvals: SSHSIG over the plan's text by key holders, counted by person and never by key.

Namespace approval@uki-ceremony. A signature counts when its key is one that the policy gives
a key holder other than the administrator, whatever file or code it came in. Any stock
ssh-keygen -Y verify gives the same answer (OpenSSH PROTOCOL.sshsig). Refuses to know the
plan's meaning: it is the bytes that are signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ceremony.attest.sshsig import read_sshsig, verify_sshsig
from ceremony.errors import Refused, refuse
from ceremony.keys import PublicKey
from ceremony.policy_model import Approving, Policy
from ceremony.show import escaped
from ceremony.types import Finding, Severity

NAMESPACE = "approval@uki-ceremony"
MOST_BYTES = 16 * 1024  # an RSA key of 16384 bits needs 6 KiB
MOST_APPROVALS = 256
RULE = "APP-SIGNATURE"


@dataclass(frozen=True, slots=True)
class Counted:
    """Who approved, and why the other approvals do not count."""

    persons: tuple[str, ...]
    findings: tuple[Finding, ...]


def holders(policy: Policy) -> tuple[str, ...]:
    """Return the key holders whose approval counts: all but the administrator."""
    return tuple(p for p in policy.roles.key_holders if p != policy.roles.administrator)


def approvers(policy: Policy) -> tuple[str, ...]:
    """Return the holders who can approve as the policy wants it: with a key of their own."""
    if policy.approvals.by is Approving.TYPED:
        return holders(policy)
    able = {
        person.id
        for person in policy.persons
        if any(not _revoked(policy, named.key) for named in person.keys)
    }
    return tuple(person for person in holders(policy) if person in able)


def _revoked(policy: Policy, key: PublicKey) -> bool:
    """Tell whether a key is revoked, be it from a moment on: an SSHSIG says no time."""
    return key.fpr in policy.revocations


def approved_by(policy: Policy, plan: bytes, approval: bytes) -> str:
    """APP-SIGNATURE: return whose approval of exactly this plan it is, or Refused."""
    if len(approval) > MOST_BYTES:
        raise refuse(RULE, f"over {MOST_BYTES:,} bytes")
    try:
        signature = read_sshsig(approval)
        key = verify_sshsig(signature, plan, NAMESPACE)
    except Refused as error:
        found = error.findings[0]
        raise refuse(RULE, f"no approval of this plan: {found.text} ({found.rule})") from None
    if not signature.touched:
        raise refuse(RULE, "the security key was not touched")
    if _revoked(policy, key):
        raise refuse(RULE, f"the key {key.fpr} is revoked")
    return _holder(policy, key)


def _holder(policy: Policy, key: PublicKey) -> str:
    owners = (p.id for p in policy.persons if key.fpr in {named.key.fpr for named in p.keys})
    person = next(owners, None)
    if person is None:
        raise refuse(RULE, f"the key {key.fpr} is nobody's in the policy")
    if person == policy.roles.administrator:
        raise refuse(RULE, f"{escaped(person)} is the administrator, who does not count")
    if person not in policy.roles.key_holders:
        raise refuse(RULE, f"{escaped(person)} is no key holder")
    return person


def count(policy: Policy, plan: bytes, approvals: Iterable[bytes]) -> Counted:
    """Return the distinct persons who approved exactly these bytes."""
    persons: list[str] = []
    findings: list[Finding] = []
    for number, approval in enumerate(approvals, 1):
        if number > MOST_APPROVALS:
            text = f"only the first {MOST_APPROVALS} approvals were read"
            findings.append(Finding(RULE, Severity.WARN, text))
            break
        try:
            person = approved_by(policy, plan, approval)
        except Refused as error:
            text = f"approval {number}: {error.findings[0].text}"
            findings.append(Finding(RULE, Severity.WARN, text))
            continue
        if person in persons:
            text = f"approval {number}: {escaped(person)} approved already, persons are counted"
            findings.append(Finding(RULE, Severity.WARN, text))
        else:
            persons.append(person)
    return Counted(tuple(persons), tuple(findings))
