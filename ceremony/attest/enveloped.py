"""A DSSE envelope with an in-toto Statement inside.

Decides which enrolled keys signed the envelope, then reads the payload, once. Every
distinct key gives one reading. A keyid only says which keys to try first. Refuses to know
votes: two signatures of one builder are for the judge to count as one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain

from ceremony.attest.dsse import IN_TOTO, Envelope, pae, read_envelope
from ceremony.attest.record import Attestation, Claims, Malformed, Reading, Unverified
from ceremony.attest.statement import read_statement
from ceremony.errors import Refused, refuse
from ceremony.keys import PublicKey, Scheme
from ceremony.policy_model import Policy
from ceremony.show import escaped
from ceremony.types import MediaFile

DSSE = "dsse"
ED25519_SIGNATURE_BYTES = 64
# What a hostile envelope can cost: so many signature checks and not more. Within it a key
# is found without any hint in a policy of that many keys.
MOST_TRIALS = 64


def read_dsse(file: MediaFile, policy: Policy) -> tuple[Reading, ...]:
    """Read an envelope: one reading for each enrolled key that signed it."""
    try:
        envelope = read_envelope(file.data)
    except Refused as error:
        return (_malformed(file, "", error),)
    signers = _signers(envelope, policy)
    if not signers:
        return (_unverified(file, envelope, policy),)
    try:
        claims = _claims(envelope)
    except Refused as error:
        builders = sorted({policy.enrolled[key.fpr][0].id for key, _ in signers})
        return tuple(_malformed(file, builder, error) for builder in builders)
    return tuple(
        Attestation(
            file=file.path,
            format=DSSE,
            sha256=hashlib.sha256(file.data).hexdigest(),
            builder=policy.enrolled[key.fpr][0].id,
            key=key,
            scheme=scheme,
            touched=True,
            claims=claims,
        )
        for key, scheme in signers
    )


def _claims(envelope: Envelope) -> Claims:
    if envelope.payload_type != IN_TOTO:
        raise refuse(
            "ATT-PAYLOAD",
            f"the payload is {escaped(envelope.payload_type)}, not {IN_TOTO}",
        )
    return read_statement(envelope.payload)


def _says(envelope: Envelope) -> Claims | None:
    try:
        return _claims(envelope)
    except Refused:
        return None


def _unverified(file: MediaFile, envelope: Envelope, policy: Policy) -> Reading:
    says = _says(envelope)
    for hint, _ in envelope.signatures:
        if hint in policy.by_hint:
            builder = policy.enrolled[policy.by_hint[hint][0].fpr][0].id
            text = "the signature does not fit the key that it names"
            return Unverified(file.path, DSSE, builder, "ATT-SIGNATURE", text, says)
    text = "no enrolled key made any of its signatures"
    if len(policy.bare_keys) * len(envelope.signatures) > MOST_TRIALS // 2:
        text += f" (at most {MOST_TRIALS} checks are made; a keyid saves them)"
    return Unverified(file.path, DSSE, "", "QRM-ENROLLED", text, says)


def _signers(envelope: Envelope, policy: Policy) -> tuple[tuple[PublicKey, Scheme], ...]:
    message = pae(envelope.payload_type, envelope.payload)
    found: dict[str, tuple[PublicKey, Scheme]] = {}
    trials = MOST_TRIALS
    for hint, signature in envelope.signatures:
        for key, scheme in _trials(hint, signature, policy):
            if trials == 0:
                break
            trials -= 1
            try:
                key.verify(signature, message, scheme)
            except Refused:
                continue
            found.setdefault(key.fpr, (key, scheme))
            break
    return tuple(found[fpr] for fpr in sorted(found))


def _trials(hint: str, signature: bytes, policy: Policy) -> Iterator[tuple[PublicKey, Scheme]]:
    for key in chain(policy.by_hint.get(hint, ()), policy.bare_keys):
        for scheme in _schemes(key):
            if scheme is not Scheme.ED25519 or len(signature) == ED25519_SIGNATURE_BYTES:
                yield key, scheme


def _schemes(key: PublicKey) -> tuple[Scheme, ...]:
    if key.algorithm == "ed25519":
        return (Scheme.ED25519,)
    if key.algorithm.startswith("rsa-"):
        return (Scheme.RSA_PSS_SHA256, Scheme.RSA_PKCS1_SHA256)
    return (Scheme.ECDSA,)


def _malformed(file: MediaFile, builder: str, error: Refused) -> Reading:
    fault = error.findings[0]
    return Malformed(file.path, DSSE, builder, fault.rule, fault.text)
