"""Which enrolled keys made the signatures of one document, DSSE or in-toto.

Decides by trying: first the keys that a keyid names, then every bare key. A keyid saves
work and proves nothing. Refuses to know votes: two keys of one builder are two signers here
and one vote for the judge.
"""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import TypeAlias

from ceremony.attest.record import Attestation, Claims, Proof
from ceremony.errors import Refused
from ceremony.keys import PublicKey, Scheme
from ceremony.policy_model import Policy
from ceremony.types import MediaFile

ED25519_SIGNATURE_BYTES = 64
# What a hostile document can cost: so many signature checks and not more. Within it a key
# is found without any hint in a policy of that many keys.
MOST_TRIALS = 64

Signatures: TypeAlias = tuple[tuple[str, bytes], ...]
Signers: TypeAlias = tuple[tuple[PublicKey, Scheme, bytes], ...]


def signers(signatures: Signatures, message: bytes, policy: Policy) -> Signers:
    """Return each enrolled key that signed `message` once with its signature, sorted by identity.

    `signatures` are (keyid hint, raw signature; ECDSA in DER).
    """
    found: dict[str, tuple[PublicKey, Scheme, bytes]] = {}
    trials = MOST_TRIALS
    for hint, signature in signatures:
        for key in chain(policy.by_hint.get(hint, ()), policy.bare_keys):
            schemes = _schemes(key, signature)
            # As many as there are ways, whichever is tried first: what is found depends on
            # nothing that was read before.
            trials -= len(schemes)
            if trials < 0:
                break
            scheme = _fitting(key, signature, message, schemes)
            if scheme is not None:
                found.setdefault(key.fpr, (key, scheme, signature))
                break
    return tuple(found[fpr] for fpr in sorted(found))


def _fitting(
    key: PublicKey, signature: bytes, message: bytes, schemes: tuple[Scheme, ...]
) -> Scheme | None:
    """Return how `key` made the signature, None where it did not; at most one way fits."""
    last = _last.get(key.spki)
    for scheme in sorted(schemes, key=lambda one: one is not last) if last else schemes:
        try:
            key.verify(signature, message, scheme)
        except Refused:
            continue
        if len(schemes) > 1:
            _last[key.spki] = scheme
        return scheme
    return None


# A tool signs in one way: with the one that fitted last, a key is tried once and not twice.
# Only keys of a policy come in here.
_last: dict[bytes, Scheme] = {}


def attested(  # noqa: PLR0913, PLR0917 - an attestation's members
    file: MediaFile,
    kind: str,
    found: Signers,
    claims: Claims,
    policy: Policy,
    content: bytes,
    parts: tuple[bytes, ...] = (),
) -> tuple[Attestation, ...]:
    """Return what each enrolled key that signed `file` attests: the same claims of `content`."""
    digest = hashlib.sha256(file.data).hexdigest()
    return tuple(
        Attestation(
            file=file.path,
            format=kind,
            sha256=digest,
            builder=policy.enrolled[key.fpr][0].id,
            key=key,
            scheme=scheme,
            touched=True,
            claims=claims,
            proof=Proof(content, signature, parts),
        )
        for key, scheme, signature in found
    )


def why_none(signatures: Signatures, policy: Policy) -> tuple[str, str, str]:
    """Return (builder id or "", rule, text) for a document that no enrolled key signed."""
    for hint, _ in signatures:
        if hint in policy.by_hint:
            builder = policy.enrolled[policy.by_hint[hint][0].fpr][0].id
            return builder, "ATT-SIGNATURE", "the signature does not fit the key that it names"
    text = "no enrolled key made any of its signatures"
    if len(policy.bare_keys) * len(signatures) > MOST_TRIALS // 2:
        text += f" (at most {MOST_TRIALS} checks are made; a keyid saves them)"
    return "", "QRM-ENROLLED", text


def _schemes(key: PublicKey, signature: bytes) -> tuple[Scheme, ...]:
    if key.algorithm == "ed25519":
        return (Scheme.ED25519,) if len(signature) == ED25519_SIGNATURE_BYTES else ()
    if key.algorithm.startswith("rsa-"):
        return (Scheme.RSA_PSS_SHA256, Scheme.RSA_PKCS1_SHA256)
    return (Scheme.ECDSA,)
