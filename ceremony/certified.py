"""Whether a vote by SSH certificate may count under the authority that a builder enrols.

Decides from the policy and the attestation's time: a user's certificate, for one of the
authority's principals, in its own time, without restrictions that a file's signature cannot
keep, not revoked, and for a key that is nobody else's. Refuses to know how a certificate is
built and whether its authority signed it: that is attest/ssh_certificate.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from ceremony.attest.record import Attestation
from ceremony.attest.ssh_certificate import VERIFY_REQUIRED, SshCertificate
from ceremony.clock import minute_text
from ceremony.keys import PublicKey
from ceremony.policy_model import Policy
from ceremony.policy_people import BuilderKey, KeyWrapping, Revocation, Revoked
from ceremony.show import escaped

RULE = "QRM-CERTIFICATE"
FOREVER = (1 << 64) - 1  # PROTOCOL.certkeys: the end that ssh-keygen writes without -V

# What a critical option restricts, said for those that OpenSSH knows.
_RESTRICTIONS = {
    "force-command": "it may run one command only",
    "source-address": "it is bound to network addresses, and a file comes from none",
}


def signing_key(attestation: Attestation) -> PublicKey:
    """Return the key that made the signature: the certified one where there is one."""
    certificate = attestation.certificate
    return certificate.public_key if certificate else attestation.key


def revocations(attestation: Attestation, policy: Policy) -> Iterator[tuple[str, Revoked]]:
    """Yield what was revoked of whoever signed, with its name: key, authority, certificate."""
    names = {attestation.key.fpr: "the key"}
    certificate = attestation.certificate
    if certificate is not None:
        authority = attestation.key.fpr
        names = {certificate.public_key.fpr: "the certified key", authority: "the authority"}
        for entry in policy.revoked:
            if entry.fpr == authority and not entry.whole and _voids(entry, certificate):
                yield f"the certificate {_named(certificate)}", entry
    for fpr, name in names.items():
        if fpr in policy.revocations:
            yield name, policy.revocations[fpr]


def revoked_at(entry: Revoked, made: datetime) -> bool:
    """Say whether a revocation voids what was made at a moment."""
    return entry.mode is Revocation.ALL or made >= entry.since


def certificate_faults(
    attestation: Attestation, key: BuilderKey, policy: Policy, made: datetime, now: datetime
) -> Iterator[tuple[str, str]]:
    """QRM-CERTIFICATE, QRM-ALGORITHM: yield (rule, text) of what bars a certificate."""
    certificate = attestation.certificate
    if certificate is None:
        return
    if not certificate.user:
        yield RULE, "the certificate is a host's; a user's is wanted"
    for option in certificate.options:
        if option != VERIFY_REQUIRED:
            why = _RESTRICTIONS.get(option, "nothing is known of it here")
            yield RULE, f"the certificate has the critical option {escaped(option)}: {why}"
    if not set(certificate.principals) & set(key.principals):
        there = ", ".join(escaped(name) for name in certificate.principals) or "nobody"
        wanted = ", ".join(escaped(name) for name in key.principals)
        yield RULE, f"the certificate is for {there}, enrolled is {wanted}"
    moment = int(made.timestamp())
    if not certificate.valid_after <= moment < certificate.valid_before:
        yield (
            RULE,
            f"signed {minute_text(made)} UTC, the certificate is valid {_period(certificate)}",
        )
    yield from _others_key(attestation, certificate, policy)
    authority = attestation.key
    if not authority.allowed_by(policy.algorithms_at(now), certificate.scheme):
        text = (
            f"the policy allows no {authority.algorithm} ({certificate.scheme}), as the authority's"
        )
        yield "QRM-ALGORITHM", text


def _others_key(
    attestation: Attestation, certificate: SshCertificate, policy: Policy
) -> Iterator[tuple[str, str]]:
    """One key is one builder's: not enrolled for another one, and no authority itself."""
    holder = policy.enrolled.get(certificate.public_key.fpr)
    if holder is None:
        return
    builder, held = holder
    if held.wrapping is KeyWrapping.SSH_CA:
        yield RULE, f"the certified key is itself the authority of {escaped(builder.id)}"
    elif builder.id != attestation.builder:
        yield RULE, f"the certified key is enrolled for {escaped(builder.id)}"


def _voids(entry: Revoked, certificate: SshCertificate) -> bool:
    return certificate.serial in entry.serials or certificate.key_id in entry.key_ids


def _named(certificate: SshCertificate) -> str:
    return f'"{escaped(certificate.key_id)}" (serial {certificate.serial})'


def _period(certificate: SshCertificate) -> str:
    return f"from {_moment(certificate.valid_after)} to {_moment(certificate.valid_before)}"


def _moment(seconds: int) -> str:
    try:
        return f"{minute_text(datetime.fromtimestamp(seconds, UTC))}"
    except (ValueError, OverflowError, OSError):
        return "for ever" if seconds == FOREVER else f"the second {seconds}"
