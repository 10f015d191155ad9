"""A detached signature beside a checksum file: SSHSIG and minisign.

Decides whether an enrolled key signed one of the candidate files and then reads that file.
The signature is checked first; what nobody enrolled signed is read only to report what it
would say. Refuses to know votes and other formats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from ceremony.attest import contents
from ceremony.attest.minisign import (
    PLAIN,
    Minisignature,
    comment_claims,
    read_minisign,
    verify_minisign,
)
from ceremony.attest.record import Attestation, Claims, Malformed, Proof, Reading, Unverified
from ceremony.attest.ssh_wire import uint32
from ceremony.attest.sshsig import SshSignature, read_certifiable, verify_sshsig
from ceremony.errors import Refused
from ceremony.keys import PublicKey, Scheme
from ceremony.policy_model import Policy
from ceremony.policy_people import ATTESTATION_NAMESPACE, Builder, BuilderKey, KeyWrapping
from ceremony.show import escaped
from ceremony.types import Finding, MediaFile

SSHSIG = "sshsig"
MINISIGN = "minisign"
# Files that a key of nobody's is tried on, only to tell which one it signed.
MOST_FOR_STRANGERS = 4


def read_sshsig_pair(file: MediaFile, signed: tuple[MediaFile, ...], policy: Policy) -> Reading:
    """Read an SSHSIG, by a key or by a certificate, and the checksum file it signs."""
    try:
        signature = read_certifiable(file.data)
    except Refused as error:
        return _malformed(file, SSHSIG, "", error)
    certificate = signature.certificate
    key = certificate.authority if certificate else signature.public_key
    # Where the certificate's authority is nobody's, it is told whose the key itself is.
    enrolled = policy.enrolled.get(key.fpr) or policy.enrolled.get(signature.public_key.fpr)
    builder = enrolled[0].id if enrolled else ""
    namespace = enrolled[1].namespace if enrolled else ATTESTATION_NAMESPACE
    try:
        tried = contents.tried(signed, hashed=True)
        tried = tried if enrolled else tried[:MOST_FOR_STRANGERS]
    except Refused as error:
        return _unverified(file, SSHSIG, builder, error.findings[0], ())
    content, fault = _signed_by(tried, partial(verify_sshsig, signature, namespace=namespace))
    if content is None:
        return _unverified(file, SSHSIG, builder, fault, tried)
    if enrolled is None:
        named = f"{key.fpr}, an authority," if certificate else key.fpr
        return _stranger(file, SSHSIG, named, content)
    if why := _other_use(signature, key, enrolled[1]):
        return Unverified(file.path, SSHSIG, builder, *why, _says(content))
    try:
        claims = contents.claims(content.data)
    except Refused as error:
        return _malformed(file, SSHSIG, builder, error)
    return Attestation(
        file=file.path,
        format=SSHSIG,
        sha256=hashlib.sha256(file.data).hexdigest(),
        builder=builder,
        key=key,
        scheme=signature.scheme,
        touched=signature.touched,
        claims=claims,
        proof=Proof(content.data, signature.signature, _ssh_parts(signature)),
        certificate=certificate,
    )


def _other_use(signature: SshSignature, key: PublicKey, held: BuilderKey) -> tuple[str, str] | None:
    """Return (rule, text) where a key is not used as it is enrolled."""
    certified = signature.certificate is not None
    if certified and held.key.fpr != key.fpr:
        text = "the key is enrolled, the authority of its certificate is not"
        return "QRM-CERTIFICATE", text
    if certified and held.wrapping is not KeyWrapping.SSH_CA:
        return "QRM-CERTIFICATE", "the certificate's authority is enrolled as a plain key only"
    if not certified and held.wrapping is KeyWrapping.SSH_CA:
        return "QRM-CERTIFICATE", "the key is enrolled as an authority, which signs nothing itself"
    if not held.signs:
        text = "the key is enrolled to certify its subkeys: its owner does not let it sign"
        return "QRM-ENROLLED", text
    if held.key != key:
        text = f"the key is enrolled as {held.key.algorithm}, for another application"
        return "QRM-ENROLLED", text
    return None


def _ssh_parts(signature: SshSignature) -> tuple[bytes, ...]:
    security_key = bytes([signature.flags]) + uint32(signature.counter)
    certificate = signature.certificate
    halves = (certificate.signed, certificate.signature) if certificate else ()
    return signature.hash_algorithm.encode(), security_key, *halves


def read_minisign_pair(file: MediaFile, signed: tuple[MediaFile, ...], policy: Policy) -> Reading:
    """Read a minisign signature and the checksum file it signs."""
    try:
        signature = read_minisign(file.data)
    except Refused as error:
        return _malformed(file, MINISIGN, "", error)
    # As in minisign itself a signature with another key's id is not that key's signature.
    holders = policy.by_minisign_id.get(signature.key_id, ())
    if not holders:
        return _stranger(file, MINISIGN, f"id {signature.key_id}", signed[0] if signed else None)
    try:
        tried = contents.tried(signed, hashed=signature.algorithm != PLAIN)
    except Refused as error:
        return _unverified(file, MINISIGN, holders[0][0].id, error.findings[0], ())
    fault = None
    for builder, key in holders:
        content, fault = _signed_by(tried, partial(verify_minisign, signature, key=key.key))
        if content is not None:
            return _minisign_claims(file, signature, content, builder, key)
    return _unverified(file, MINISIGN, holders[0][0].id, fault, tried)


def _minisign_claims(
    file: MediaFile,
    signature: Minisignature,
    content: MediaFile,
    builder: Builder,
    key: BuilderKey,
) -> Reading:
    try:
        claims = comment_claims(contents.claims(content.data), signature.trusted_comment)
    except Refused as error:
        return _malformed(file, MINISIGN, builder.id, error)
    return Attestation(
        file=file.path,
        format=MINISIGN,
        sha256=hashlib.sha256(file.data).hexdigest(),
        builder=builder.id,
        key=key.key,
        scheme=Scheme.ED25519,
        touched=True,
        claims=claims,
        proof=Proof(
            content.data,
            signature.signature,
            (
                signature.algorithm,
                signature.trusted_comment.encode(),
                signature.global_signature,
            ),
        ),
    )


def _signed_by(
    candidates: tuple[MediaFile, ...], check: Callable[[bytes], object]
) -> tuple[MediaFile | None, Finding | None]:
    """Return the first candidate that the signature fits, or why none does."""
    fault = None
    for candidate in candidates:
        try:
            check(candidate.data)
        except Refused as error:
            fault = fault or error.findings[0]
        else:
            return candidate, None
    return None, fault


def _unverified(
    file: MediaFile, kind: str, builder: str, fault: Finding | None, signed: tuple[MediaFile, ...]
) -> Reading:
    if fault is None:
        text = "the file that it signs is not here"
        return Unverified(file.path, kind, builder, "ATT-ALONE", text, None)
    return Unverified(
        file.path, kind, builder, fault.rule, fault.text, _says(signed[0] if signed else None)
    )


def _stranger(file: MediaFile, kind: str, key: str, content: MediaFile | None) -> Reading:
    text = f"the key {escaped(key)} belongs to no enrolled builder"
    return Unverified(file.path, kind, "", "QRM-ENROLLED", text, _says(content))


def _says(content: MediaFile | None) -> Claims | None:
    """Return what an unverified file would say, as far as it can be read."""
    if content is None:
        return None
    try:
        return contents.claims(content.data)
    except Refused:
        return None


def _malformed(file: MediaFile, kind: str, builder: str, error: Refused) -> Reading:
    fault = error.findings[0]
    return Malformed(file.path, kind, builder, fault.rule, fault.text)
