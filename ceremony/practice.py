"""Which keys sign rehearsals and which sign releases, and under which policy a machine signs.

Decides from plan, policy and pin alone, so that the process that holds the token can ask it of
bytes that it was sent. A rehearsal is signed with a key that said of itself, with its own
signature, that it is for rehearsals only: whoever writes policy and binding cannot make a
release key say so. Refuses to know tokens and the binding's file.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from ceremony.errors import refuse
from ceremony.policy_model import Policy
from ceremony.preflight import read_certificate
from ceremony.types import Mode

PRACTICE_NAME = "REHEARSAL ONLY - NOT A RELEASE KEY"  # the subject's common name
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


def is_marked(certificate: x509.Certificate) -> bool:
    """Tell whether the certificate says that its key is for rehearsals, whoever signed it."""
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:  # a name that is not encoded as its type says
        return False
    return any(name.value == PRACTICE_NAME for name in names)


def is_practice(certificate: x509.Certificate) -> bool:
    """Tell whether the key itself signed that it is for rehearsals.

    Others may certify anything of a public key; its own signature needs the private one.
    """
    if not is_marked(certificate):
        return False
    try:
        certificate.verify_directly_issued_by(certificate)
        return isinstance(certificate.signature_hash_algorithm, _HASHES)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False


def require_policy(mode: Mode, digest: str, pinned: str) -> None:
    """APP-POLICY: the policy is the one that this machine pins; a release needs a pin.

    `digest` and `pinned` are SHA-256 in hex; "" pins none: a machine for rehearsals.
    """
    if pinned and digest != pinned:
        raise refuse("APP-POLICY", f"this machine signs under the policy {pinned} only")
    if not pinned and mode is not Mode.REHEARSAL:
        text = "this machine is for rehearsals: its binding pins no policy"
        raise refuse("APP-POLICY", text)


def require_signer(mode: Mode, certificate: bytes) -> None:
    """APP-PRACTICE: a rehearsal's certificate (PEM or DER) is a practice key's, a release's not."""
    read = read_certificate(certificate)
    if mode is Mode.REHEARSAL and not is_practice(read):
        text = f"the signer's certificate is not one that its own key signed as {PRACTICE_NAME}"
        raise refuse("APP-PRACTICE", text)
    if mode is not Mode.REHEARSAL and is_marked(read):
        raise refuse("APP-PRACTICE", f"the signer's certificate says {PRACTICE_NAME}")


def require_machine(mode: Mode, policy: Policy, pinned: str) -> None:
    """APP-POLICY, APP-PRACTICE: this machine may sign under this policy in this mode."""
    require_policy(mode, policy.sha256.hex, pinned)
    require_signer(mode, policy.signer.certificate.encode("ascii"))
