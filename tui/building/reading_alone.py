"""Attestations read without a policy: what they say, and whether a signature fits a key.

Decides nothing about votes. An SSHSIG brings its key along; minisign and DSSE need the
builder's public key. Other formats are named and left to a policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from ceremony.attest.dsse import pae, read_envelope
from ceremony.attest.gather import Evidence, Format, gather
from ceremony.attest.minisign import read_comment, read_minisign, verify_minisign
from ceremony.attest.record import Claims
from ceremony.attest.sshsig import read_certifiable, verify_sshsig
from ceremony.attest.statement import read_statement
from ceremony.attest.sums import read_sums
from ceremony.errors import Refused, refuse
from ceremony.ingest.reading import read_regular
from ceremony.keys import PublicKey, Scheme, parse_minisign, parse_spki, parse_ssh_line
from ceremony.show import escaped
from ceremony.types import MediaFile
from tui.attesting import ATTESTATION_NAMESPACE
from tui.building.advice import COPY_AGAIN
from tui.private_keys import MOST_KEY

# file, builder, good, rule, what is said, what to run, the heading
Said: TypeAlias = tuple[str, str, bool, str, str, str, str]

POLICY = "give --policy P: only a policy says whose key that is and whether it counts"
FITS = "its signature fits"
UNCHECKED = "read, its signature is not checked"
TAMPERED = "NOT VERIFIED: changed after signing, or signed by another key"
NOT_VERIFIED = "NOT VERIFIED"
NOT_HERE = "not an attestation that is read here"
KEY = "give the builder's public key with --key, or the policy with --policy"


def read_alone(files: tuple[MediaFile, ...], key: Path | None) -> tuple[Said, ...]:
    """Return what is to be said of every attestation among the files."""
    public = _public(key) if key is not None else None
    return tuple(_said(evidence, public) for evidence in gather(files))


def _said(evidence: Evidence, public: PublicKey | None) -> Said:
    path = evidence.file.path
    try:
        match evidence.format:
            case Format.SSHSIG:
                text, step = _sshsig(evidence, public), POLICY
            case Format.MINISIGN:
                text, step = _minisign(evidence, public)
            case Format.DSSE:
                text, step = _dsse(evidence, public)
            case Format.CHECKSUMS:
                step = f"sign it: ssh-keygen -Y sign -n {ATTESTATION_NAMESPACE} -f KEY FILE"
                text = "checksums without a signature"
                return path, "", False, "ATT-UNSIGNED", text, step, NOT_VERIFIED
            case Format.UNKNOWN:
                text = "no attestation format known here"
                return path, "", False, "ATT-FORMAT", text, "", NOT_HERE
            case _:
                text = f"a {evidence.format} file, read with a policy"
                return path, "", False, "", text, POLICY, UNCHECKED
    except Refused as error:
        fault = error.findings[0]
        step, heading = COPY_AGAIN, NOT_VERIFIED
        if fault.rule == "ATT-SIGNATURE":
            heading = TAMPERED
        elif fault.rule == "ATT-ALONE":
            step = "bring the checksum file too, unchanged, into the same folder"
        return path, "", False, fault.rule, fault.text, step, heading
    return path, "", True, "", text, step, UNCHECKED if step == KEY else FITS


def _sshsig(evidence: Evidence, public: PublicKey | None) -> str:
    signature = read_certifiable(evidence.file.data)
    content = _signed(evidence)
    key = verify_sshsig(signature, content.data, ATTESTATION_NAMESPACE)
    by = f"signed by {key.algorithm} {key.fpr}"
    certificate = signature.certificate
    if certificate:
        key = certificate.authority
        whom = ", ".join(map(escaped, certificate.principals)) or "nobody"
        by += f", certified for {whom} by {key.fpr}"
    if public is not None and public.fpr != key.fpr:
        raise refuse("ATT-SIGNATURE", f"another key signed it: {key.fpr}")
    return f"{by}; {_words(read_sums(content.data))}"


def _minisign(evidence: Evidence, public: PublicKey | None) -> tuple[str, str]:
    signature = read_minisign(evidence.file.data)
    content = _signed(evidence)
    sums, pins = read_sums(content.data), read_comment(signature.trusted_comment)
    for name, value in (*sums.pins, *sums.self_claims):
        pins.add(name, value)
    says = _words(pins.claims(sums.artifacts))
    if public is None:
        return f"the signature of key {signature.key_id} is not checked; {says}", KEY
    verify_minisign(signature, content.data, public)
    return f"signed by {public.algorithm} {public.fpr}; {says}", POLICY


def _dsse(evidence: Evidence, public: PublicKey | None) -> tuple[str, str]:
    envelope = read_envelope(evidence.file.data)
    says = _words(read_statement(envelope.payload))
    if public is None:
        return f"no signature is checked; {says}", KEY
    message = pae(envelope.payload_type, envelope.payload)
    for _, signature in envelope.signatures:
        for scheme in Scheme:
            try:
                public.verify(signature, message, scheme)
            except Refused:
                continue
            return f"signed by {public.algorithm} {public.fpr}; {says}", POLICY
    raise refuse("ATT-SIGNATURE", f"none of its signatures is of the key {public.fpr}")


def _signed(evidence: Evidence) -> MediaFile:
    if not evidence.signed:
        raise refuse("ATT-ALONE", "the file that it signs is not among the files given")
    return evidence.signed[0]


def _words(claims: Claims) -> str:
    return "; ".join(_each(claims))


def _each(claims: Claims) -> Iterator[str]:
    for artifact in claims.artifacts:
        yield f"{escaped(artifact.name)} is {artifact.digest('sha256')[:16] or 'without sha256'}"
    for name, value in (*claims.self_claims, *claims.pins):
        yield f"{name} {escaped(value, 70)}"
    if claims.time is not None:
        yield f"made {claims.time:%Y-%m-%d %H:%M} UTC"


def _public(path: Path) -> PublicKey:
    """Return the public key of a .pub file of ssh-keygen or minisign, or of a PEM."""
    text = read_regular(path, MOST_KEY).decode("utf-8", "replace").strip()
    if text.startswith("-----BEGIN PUBLIC KEY-----"):
        return parse_spki(text)
    if text.startswith("untrusted comment:"):
        return parse_minisign(text.splitlines()[-1])[0]
    if text.startswith("-----"):
        raise refuse("ATT-KEY", f"{escaped(str(path))} is no public key; --verify takes the .pub")
    return parse_ssh_line(text)[0]
