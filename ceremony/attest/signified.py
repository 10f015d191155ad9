"""A signify signature and the checksum file that it signs, beside it or embedded.

Decides whether an enrolled key signed one of the candidate files and then reads that file.
A signify and a minisign public key are the same 42 bytes, so that either wrapping serves.
Refuses to know votes and other formats.
"""

from __future__ import annotations

import hashlib

from ceremony.attest import contents
from ceremony.attest.record import Attestation, Claims, Malformed, Proof, Reading, Unverified
from ceremony.attest.signify import SignifySignature, read_signify, verify_signify
from ceremony.errors import Refused
from ceremony.keys import Scheme
from ceremony.policy_model import Holders, Policy
from ceremony.policy_people import Builder, BuilderKey, KeyWrapping
from ceremony.types import Finding, MediaFile

SIGNIFY = "signify"


def read_signify_pair(file: MediaFile, signed: tuple[MediaFile, ...], policy: Policy) -> Reading:
    """Read a signify signature and the checksum file it signs."""
    try:
        signature = read_signify(file.data)
    except Refused as error:
        return _malformed(file, "", error)
    if signature.message:
        signed = (MediaFile(file.path, signature.message),)
    holders = _holders(signature, policy)
    if not holders:
        text = f"the key with the id {signature.key_id} belongs to no enrolled builder"
        return _unverified(file, "", "QRM-ENROLLED", text, signed)
    if not signed:
        text = "the file that it signs is not here"
        return _unverified(file, holders[0][0].id, "ATT-ALONE", text, signed)
    try:
        # What is embedded is read for this signature alone, whatever its size.
        tried = signed if signature.message else contents.tried(signed, hashed=False)
    except Refused as error:
        why = error.findings[0]
        return _unverified(file, holders[0][0].id, why.rule, why.text, ())
    fault: Finding | None = None
    for content in tried:
        for builder, held in holders:
            try:
                verify_signify(signature, content.data, held.key)
            except Refused as error:
                fault = fault or error.findings[0]
            else:
                proof = Proof(content.data, signature.signature)
                return _attested(file, proof, builder, held)
    text = fault.text if fault else ""
    return _unverified(file, holders[0][0].id, "ATT-SIGNATURE", text, signed)


def _holders(signature: SignifySignature, policy: Policy) -> Holders:
    # As in signify itself a signature with another key's id is not that key's signature.
    return (
        *policy.by_key_id(KeyWrapping.SIGNIFY, signature.key_id),
        *policy.by_key_id(KeyWrapping.MINISIGN, signature.key_id),
    )


def _attested(file: MediaFile, proof: Proof, builder: Builder, held: BuilderKey) -> Reading:
    try:
        claims = contents.claims(proof.content)
    except Refused as error:
        return _malformed(file, builder.id, error)
    return Attestation(
        file=file.path,
        format=SIGNIFY,
        sha256=hashlib.sha256(file.data).hexdigest(),
        builder=builder.id,
        key=held.key,
        scheme=Scheme.ED25519,
        touched=True,
        claims=claims,
        proof=proof,
    )


def _unverified(
    file: MediaFile, builder: str, rule: str, text: str, signed: tuple[MediaFile, ...]
) -> Reading:
    says: Claims | None = None
    if signed:
        try:
            says = contents.claims(signed[0].data)
        except Refused:
            says = None
    return Unverified(file.path, SIGNIFY, builder, rule, text, says)


def _malformed(file: MediaFile, builder: str, error: Refused) -> Reading:
    fault = error.findings[0]
    return Malformed(file.path, SIGNIFY, builder, fault.rule, fault.text)
