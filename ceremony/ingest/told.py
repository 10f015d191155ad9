"""Readings on their way from the confined child: what it writes, and what of that is believed.

The child is believed in what keeps a file from being a vote, as far as names and texts are of
the known kind. What makes a vote is taken from elsewhere: path, digest, builder and key from
the medium and the policy, the signature from its own check (ceremony/attest/proof.py), the
claims from the bytes that were signed (signed_claims.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from ceremony.attest.aids import Aids
from ceremony.attest.gather import Evidence, Format
from ceremony.attest.proof import certificate_of, check_proof
from ceremony.attest.record import (
    MOST_VALUE,
    SELF_CLAIMS,
    Artifact,
    Attestation,
    Claims,
    Malformed,
    Pairs,
    Proof,
    Reading,
    Unverified,
)
from ceremony.attest.signed_claims import signed_claims
from ceremony.attest.sigstore_key import enrolled_signer
from ceremony.characters import is_printable
from ceremony.codec import Json
from ceremony.errors import Refused
from ceremony.keys import Scheme
from ceremony.policy_model import Policy
from ceremony.policy_people import Builder, BuilderKey

MOST_READINGS = 64  # of one file: as many signatures as any format takes
MOST_TEXT = 4096
_RULE_ID = re.compile(r"[A-Z]{3}(-[A-Z0-9]+)+")


def telling(readings: tuple[Reading, ...], evidence: Evidence, names: tuple[str, ...]) -> Json:
    """Return the readings of one piece of evidence as JSON, for the child.

    Of what is not proved only the artifact's own digests matter, by `names`: thousands of
    strangers' signatures may stand beside one long list. What several keys signed is told once,
    and so is what several signatures would say that are none of it.
    """
    told: list[Json] = []
    before: bytes | None = None
    said: Json = []
    for reading in readings:
        one = _telling(reading, evidence, names, before)
        told.append(one)
        match reading, one:
            case Attestation(proof=Proof() as proof), _:
                before = proof.content
            case Unverified(), [*words, [_, *_] as says]:
                if says == said:
                    told[-1] = [*words, None]
                said = says
            case _:
                pass
    return told


def _telling(
    reading: Reading, evidence: Evidence, names: tuple[str, ...], before: bytes | None
) -> Json:
    match reading:
        case Attestation(key=key, scheme=scheme, claims=claims, proof=proof):
            # With a proof the parent reads for itself what was signed.
            said = _claims_told(claims) if proof is None else None
            return ["attestation", key.fpr, scheme, said, _proof_told(proof, evidence, before)]
        case Unverified(builder=builder, rule=rule, text=text, claims=claims):
            artifacts = claims.artifacts if claims else ()
            says = [_artifact_told(one) for one in artifacts if one.name in names]
            return ["unverified", builder, rule, text, says]
        case Malformed(builder=builder, rule=rule, text=text):
            return ["malformed", builder, rule, text]


def _claims_told(claims: Claims) -> Json:
    artifacts: Json = [_artifact_told(one) for one in claims.artifacts]
    time = claims.time.isoformat() if claims.time else None
    pins: Json = [[*pair] for pair in claims.pins]
    return [artifacts, pins, time, [[*pair] for pair in claims.self_claims]]


def _artifact_told(one: Artifact) -> Json:
    return [one.name, [[*pair] for pair in one.digests]]


def _proof_told(proof: Proof | None, evidence: Evidence, before: bytes | None) -> Json:
    if proof is None:
        return None
    content: Json = None
    for number, file in enumerate(evidence.signed):
        if file.data is proof.content:
            content = number
    if content is None and proof.content is not before:
        content = _text(proof.content)
    return [content, _text(proof.signature), [_text(part) for part in proof.parts]]


def _text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


class Garbage(Exception):
    """What was told is not what a reader can have found in this evidence."""


def understood(told: Json, evidence: Evidence, policy: Policy, aids: Aids) -> tuple[Reading, ...]:
    """Return the readings that were told of one piece of evidence; Garbage says why not."""
    if not isinstance(told, list) or not 0 < len(told) <= MOST_READINGS:
        raise Garbage("no readings")
    before = _Before()
    try:
        return tuple([_understood(one, evidence, policy, aids, before) for one in told])
    except (ValueError, OverflowError) as error:  # base64, a time, a scheme, UTF-8
        raise Garbage(str(error)) from None
    except Refused as error:
        raise Garbage(error.findings[0].text) from None


@dataclass(slots=True)
class _Before:
    """What was told last of one piece: the content of a proof, and what nothing proves."""

    proved: bytes | None = None
    said: Claims | None = None


def _understood(
    one: Json, evidence: Evidence, policy: Policy, aids: Aids, before: _Before
) -> Reading:
    """Return one reading; what was told `before` it is not told again."""
    path, kind = evidence.file.path, str(evidence.format)
    match one:
        case ["attestation", str(fpr), str(scheme), None, [*_] as told]:
            proof = _proof(told, evidence, before.proved)
            before.proved = proof.content
            return _proved(fpr, Scheme(scheme), proof, evidence, policy, aids)
        case ["attestation", str(fpr), str(scheme), claims, None]:
            vouched = _vouched_for(fpr, Scheme(scheme), _claims(claims), evidence, policy)
            if aids.verifier is None:
                raise Garbage("a Sigstore bundle, which nothing here verifies")
            return vouched
        case ["unverified", str(builder), str(rule), str(text), None] if before.said:
            _check_words(builder, rule, text, policy)
            return Unverified(path, kind, builder, rule, text, before.said)
        case ["unverified", str(builder), str(rule), str(text), [*artifacts]]:
            _check_words(builder, rule, text, policy)
            said = Claims(tuple([_artifact(one) for one in artifacts]), (), None, ())
            before.said = said if artifacts else before.said
            return Unverified(path, kind, builder, rule, text, said if artifacts else None)
        case ["malformed", str(builder), str(rule), str(text)]:
            _check_words(builder, rule, text, policy)
            return Malformed(path, kind, builder, rule, text)
        case _:
            raise Garbage("no reading")


def _proved(  # noqa: PLR0913, PLR0917 - the told and what it is held against
    fpr: str, scheme: Scheme, proof: Proof, evidence: Evidence, policy: Policy, aids: Aids
) -> Attestation:
    """Return an attestation of which the child gave nothing but key, way of signing and bytes."""
    builder, held = _holder(fpr, policy)
    kind = str(evidence.format)
    certificate = certificate_of(kind, proof, held)
    touched = check_proof(kind, scheme, proof, held, certificate)
    file, names = evidence.file, aids.names or policy.artifact.names
    return Attestation(
        file=file.path,
        format=kind,
        sha256=hashlib.sha256(file.data).hexdigest(),
        builder=builder.id,
        key=held.key,
        scheme=scheme,
        touched=touched,
        claims=signed_claims(kind, proof, file.data, aids.archives, names),
        certificate=certificate,
    )


def _vouched_for(
    fpr: str, scheme: Scheme, claims: Claims, evidence: Evidence, policy: Policy
) -> Attestation:
    """Return a Sigstore bundle's attestation, of which nothing can be checked here."""
    builder, held = _holder(fpr, policy)
    if evidence.format is not Format.SIGSTORE:
        raise Garbage("an attestation without its proof")
    # Its word counts for nobody else: any other key's signature is checked here.
    if enrolled_signer(held) is None or scheme is not Scheme.ECDSA:
        raise Garbage("a Sigstore bundle of a builder who is enrolled with a key")
    return Attestation(
        file=evidence.file.path,
        format=str(evidence.format),
        sha256=hashlib.sha256(evidence.file.data).hexdigest(),
        builder=builder.id,
        key=held.key,
        scheme=scheme,
        touched=True,
        claims=claims,
    )


def _holder(fpr: str, policy: Policy) -> tuple[Builder, BuilderKey]:
    if fpr not in policy.enrolled:
        raise Garbage("a key that is not enrolled")
    return policy.enrolled[fpr]


def _check_words(builder: str, rule: str, text: str, policy: Policy) -> None:
    if builder and builder not in policy.builder_named:
        raise Garbage("a builder that is not enrolled")
    check_refusal(rule, text)


def check_refusal(rule: str, text: str) -> None:
    """Garbage says why a rule and its text are not such as may be shown and recorded."""
    if not _RULE_ID.fullmatch(rule):
        raise Garbage("no rule")
    if len(text) > MOST_TEXT or not is_printable(text):
        raise Garbage("a text that is too long or not printable")


def _proof(told: Json, evidence: Evidence, proved: bytes | None) -> Proof:
    match told:
        case [None, str(signature), [*parts]] if proved is not None:
            content = proved
        case [int(number), str(signature), [*parts]] if 0 <= number < len(evidence.signed):
            content = evidence.signed[number].data
        case [str(content_told), str(signature), [*parts]]:
            content = _bytes(content_told)
        case _:
            raise Garbage("no proof")
    return Proof(content, _bytes(signature), tuple(_bytes(part) for part in parts))


def _bytes(told: Json) -> bytes:
    if not isinstance(told, str):
        raise Garbage("no bytes")
    return base64.b64decode(told, validate=True)


def _claims(told: Json) -> Claims:
    match told:
        case [[*artifacts], pins, str() | None as time, self_claims]:
            moment = None if time is None else datetime.fromisoformat(time)
            if moment is not None and moment.tzinfo is None:
                raise Garbage("a time of no zone")
            named = tuple(_artifact(one) for one in artifacts)
            selves = _pairs(self_claims)
            if not {name for name, _ in selves} <= set(SELF_CLAIMS):
                raise Garbage("a claim of no kind")
            return Claims(named, _pairs(pins), moment, selves)
        case _:
            raise Garbage("no claims")


def _artifact(told: Json) -> Artifact:
    match told:
        case [str(name), digests]:
            name.encode()  # a lone surrogate would end whoever writes it down
            return Artifact(name, _pairs(digests))
        case _:
            raise Garbage("no artifact")


def _is_plain(text: str) -> bool:
    """Tell whether a text is such as Pins and digests are: short, and nothing in it acts."""
    return len(text) <= MOST_VALUE and text.isascii() and text.isprintable()


def _pairs(told: Json) -> Pairs:
    if not isinstance(told, list):
        raise Garbage("no pairs")
    found: list[tuple[str, str]] = []
    for pair in told:
        match pair:
            case [str(name), str(value)]:
                if not all(_is_plain(text) for text in (name, value)):
                    raise Garbage("a pair that no reader gives")
                found.append((name, value))
            case _:
                raise Garbage("no pair")
    return tuple(found)
