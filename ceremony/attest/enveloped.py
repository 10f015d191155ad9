"""A DSSE envelope with an in-toto Statement, or an in-toto link, inside.

Decides which enrolled keys signed the envelope, then reads the payload, once. Every
distinct key gives one reading. A keyid only says which keys to try first. Refuses to know
votes: two signatures of one builder are for the judge to count as one.
"""

from __future__ import annotations

from ceremony.attest.dsse import IN_TOTO, Envelope, pae, read_envelope
from ceremony.attest.in_toto_link import holds_link, read_link_payload
from ceremony.attest.record import Claims, Malformed, Reading, Unverified
from ceremony.attest.signers import attested, signers, why_none
from ceremony.attest.statement import read_statement
from ceremony.errors import Refused, refuse
from ceremony.policy_model import Policy
from ceremony.show import escaped
from ceremony.types import MediaFile

DSSE = "dsse"


def read_dsse(file: MediaFile, policy: Policy) -> tuple[Reading, ...]:
    """Read an envelope: one reading for each enrolled key that signed it."""
    try:
        envelope = read_envelope(file.data)
    except Refused as error:
        return (_malformed(file, "", error),)
    message = pae(envelope.payload_type, envelope.payload)
    found = signers(envelope.signatures, message, policy)
    if not found:
        return (_unverified(file, envelope, policy),)
    try:
        claims = payload_claims(envelope.payload_type, envelope.payload)
    except Refused as error:
        builders = sorted({policy.enrolled[key.fpr][0].id for key, _, _ in found})
        return tuple(_malformed(file, builder, error) for builder in builders)
    parts = (envelope.payload_type.encode(),)
    return attested(file, DSSE, found, claims, policy, envelope.payload, parts)


def payload_claims(payload_type: str, payload: bytes) -> Claims:
    """Return what an envelope's payload says; Refused (ATT-PAYLOAD, ...) says why nothing."""
    if payload_type != IN_TOTO:
        raise refuse("ATT-PAYLOAD", f"the payload is {escaped(payload_type)}, not {IN_TOTO}")
    link = read_link_payload(payload) if holds_link(payload) else None
    return link or read_statement(payload)


def _says(envelope: Envelope) -> Claims | None:
    try:
        return payload_claims(envelope.payload_type, envelope.payload)
    except Refused:
        return None


def _unverified(file: MediaFile, envelope: Envelope, policy: Policy) -> Reading:
    builder, rule, text = why_none(envelope.signatures, policy)
    return Unverified(file.path, DSSE, builder, rule, text, _says(envelope))


def _malformed(file: MediaFile, builder: str, error: Refused) -> Reading:
    fault = error.findings[0]
    return Malformed(file.path, DSSE, builder, fault.rule, fault.text)
