"""Whether one digest may be signed now: policy, plan, approvals and attributes together.

Decides from bytes alone, so that the process that holds the token can ask it without
believing the process that sends them. Refuses to know tokens and people's screens.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ceremony import policy as policies
from ceremony.approval import count
from ceremony.approval_plan import Plan, read_plan
from ceremony.errors import Refused, refuse
from ceremony.policy_model import Approving, Policy
from ceremony.practice import require_policy, require_signer
from ceremony.preflight import SigningKey, read_certificate, signing_key, spki_sha256
from ceremony.types import Mode


@dataclass(frozen=True, slots=True)
class Permit:
    """What was found good: the plan, who approved it, the one certificate (PEM), key and digest."""

    plan: Plan
    persons: tuple[str, ...]
    certificate: bytes
    key: SigningKey
    digest: bytes


def permit(
    plan: bytes, policy: bytes, attributes: bytes, approvals: tuple[bytes, ...], pinned: str
) -> Permit:
    """Return the permit to sign SHA-256 of `attributes`, or Refused (APP-, POL-).

    `pinned` is the SHA-256 in hex of the one policy this machine signs under; "" is a machine
    for rehearsals.
    """
    read = read_plan(plan)
    digest = _digest(read, attributes)
    loaded = _policy(read, policy, pinned)
    certificate = loaded.signer.certificate.encode("ascii")
    require_signer(read.mode, certificate)
    key = signing_key(read_certificate(certificate))
    if spki_sha256(key) != read.key:
        raise refuse("APP-POLICY", "the plan's key is not that of the policy's certificate")
    return Permit(read, _enough(loaded, read, plan, approvals), certificate, key, digest)


def _digest(read: Plan, attributes: bytes) -> bytes:
    """APP-DIGEST: what is signed is SHA-256 of exactly the attributes that the plan names."""
    digest = hashlib.sha256(attributes).digest()
    if digest.hex() != read.attributes:
        raise refuse("APP-DIGEST", "the attributes are not those that the plan names")
    return digest


def _policy(read: Plan, data: bytes, pinned: str) -> Policy:
    """APP-POLICY: the policy is the one the plan names, and one this machine signs under."""
    digest = hashlib.sha256(data).hexdigest()
    if digest != read.policy:
        raise refuse("APP-POLICY", f"the plan is for another policy than {digest}")
    require_policy(read.mode, digest, pinned)
    return policies.load(data)


def _enough(
    policy: Policy, read: Plan, plan: bytes, approvals: tuple[bytes, ...]
) -> tuple[str, ...]:
    """APP-THRESHOLD, APP-TYPED: enough distinct key holders approved exactly this plan."""
    if policy.approvals.by is Approving.TYPED:
        if read.mode is not Mode.REHEARSAL:
            raise refuse("APP-TYPED", "this policy's approvals are typed words")
        return ()
    counted = count(policy, plan, approvals)
    needed = policy.approvals.threshold
    if len(counted.persons) < needed:
        text = f"{len(counted.persons)} of {needed} key holders approved this plan"
        raise Refused(*refuse("APP-THRESHOLD", text).findings, *counted.findings)
    return counted.persons
