"""What the engine says of a key beyond preflight: how its PIN is typed, where it was made."""

from __future__ import annotations

from ceremony.blobs import from_blob
from ceremony.codec import Json, encode
from ceremony.effects import Login
from ceremony.key_attestation import Attested, judge_attestation
from ceremony.pin_parts import PinEntry, judge_entry
from ceremony.states import Sign
from ceremony.token import TokenEvidence
from ceremony.types import Finding


def judge_key(state: Sign, evidence: TokenEvidence) -> tuple[tuple[Finding, ...], Json]:
    """Return the findings (KEY-PIN-PARTS, KEY-ATTEST-) and the facts: grade and attestation."""
    session, media = state.ready.session, state.ready.taken.media
    signer = session.policy.signer
    entered = tuple(judge_entry(signer.first_part, on_reader=evidence.protected_path))
    if evidence.grade == "embedded rehearsal key":
        return entered, {"grade": evidence.grade, "attestation": encode(Attested(evidence.grade))}
    named = [blob for blob in media.files if blob.path in signer.attestation.files]
    attested, findings = judge_attestation(
        session.certificate,
        tuple(bytes.fromhex(der) for der in evidence.attestation),
        tuple(from_blob(blob) for blob in named),
        signer.attestation,
        session.now,
    )
    return (*entered, *findings), {"grade": attested.grade, "attestation": encode(attested)}


def asked_again(state: Sign) -> Login | None:
    """Return who types the PIN for the signature, where the key asks for it at every use.

    Shares are not typed three times: what they make stays in the token's process (ADR 27).
    """
    login, signer = state.login, state.ready.session.policy.signer
    evidence = login.result.evidence if login else None
    if login is None or evidence is None or not evidence.always_authenticate:
        return None
    part = signer.first_part
    if part.entry is PinEntry.SHARES:
        return None
    return Login(login.persons, (), evidence.pin_state, protected_path=False, part=part)
