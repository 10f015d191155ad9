"""Detached OpenPGP signatures beside a checksum file: `SHA256SUMS.asc`, `.sig`, `.gpg`.

Decides for each signature in a file whether an enrolled key made it, and then reads the
checksums. The time of signing is the attestation's time. A fingerprint only says which key
to try. Refuses to know votes, and when a key expires: the policy's window says that.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from itertools import product

from ceremony.attest import contents, sums
from ceremony.attest import openpgp_signature as sig
from ceremony.attest.openpgp_file import TEXT, read_detached, read_signature_file
from ceremony.attest.openpgp_signature import Hash, OpenPgpSignature
from ceremony.attest.record import Attestation, Claims, Malformed, Proof, Reading, Unverified
from ceremony.errors import Refused, refuse
from ceremony.keys import SIGNATURE_RULE, Scheme
from ceremony.policy_model import Holders, Policy
from ceremony.policy_people import Builder, BuilderKey, KeyWrapping
from ceremony.types import Finding, MediaFile

OPENPGP = "openpgp"
# What a hostile file can cost: so many public key operations and not more.
MOST_TRIALS = 64
# Of the signatures in one file that are no votes, of each builder.
MOST_LINES = 4
# Sixteen candidates, three hashes, two ways to sign: each is hashed once for a whole folder.
MOST_HASHED = 96


def read_openpgp_pair(
    file: MediaFile, signed: tuple[MediaFile, ...], policy: Policy
) -> tuple[Reading, ...]:
    """Read a detached signature file: one reading for each distinct signature in it."""
    try:
        bodies = read_signature_file(file.data)
    except Refused as error:
        return (_malformed(file, "", error.findings[0]),)
    reader = _Reader(file, signed, policy)
    return _few_lines([reader.read(body) for body in bodies])


def _few_lines(readings: list[Reading]) -> tuple[Reading, ...]:
    """Return every attestation, and a few of what is none of each builder, or of nobody.

    A file has room for so many signatures that each of them as a line would bury the others.
    """
    kept: list[Reading] = []
    told: Counter[str] = Counter()
    over: dict[str, Unverified | Malformed] = {}
    for one in readings:
        if isinstance(one, Attestation):
            kept.append(one)
            continue
        told[one.builder] += 1
        if told[one.builder] <= MOST_LINES:
            kept.append(one)
        else:
            over.setdefault(one.builder, one)
    for builder, first in over.items():
        text = (
            f"{told[builder] - MOST_LINES} more signatures in this file are no votes; the first: "
        )
        kept.append(replace(first, text=text + first.text))
    return tuple(kept)


def claims(content: bytes, signature: OpenPgpSignature) -> Claims:
    """Return what a checksum file says, made when the signature says that it was made."""
    said = contents.claims(content)
    made = datetime.fromtimestamp(signature.created, UTC)
    return Claims(said.artifacts, said.pins, made, said.self_claims)


@lru_cache(maxsize=MOST_HASHED)
def hashed_content(content: bytes, name: str, kind: int) -> Hash:
    """Return the hash of a content, to which each signature adds its own fields.

    Kept because one content may stand beside thousands of hostile signature files.
    """
    if kind == TEXT:
        # RFC 9580 5.2.1.2: "line endings converted to <CR><LF>".
        content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return hashlib.new(name, content)


class _Reader:
    """Reads the signatures of one file, within one bound on public key operations."""

    def __init__(self, file: MediaFile, signed: tuple[MediaFile, ...], policy: Policy) -> None:
        self._file = file
        # What is longer is no checksum file: hashing it would cost much and prove nothing.
        self._contents = [each.data for each in signed if len(each.data) <= sums.MOST_BYTES]
        self._too_long = len(self._contents) < len(signed)
        self._policy = policy
        self._trials = MOST_TRIALS

    def read(self, body: bytes) -> Reading:
        """Read the body of one signature packet."""
        named: Holders = ()
        try:
            signature = read_detached(body)
            named = self._named(signature)
            (builder, key), content, (scheme, raw) = self._signer(signature, named)
        except Refused as error:
            return self._unread(error.findings[0], named)
        try:
            said = claims(content, signature)
        except Refused as error:
            return _malformed(self._file, builder.id, error.findings[0])
        return Attestation(
            file=self._file.path,
            format=OPENPGP,
            sha256=hashlib.sha256(self._file.data).hexdigest(),
            builder=builder.id,
            key=key.key,
            scheme=scheme,
            touched=True,
            claims=said,
            proof=Proof(content, raw, (signature.signed,)),
        )

    def _named(self, signature: OpenPgpSignature) -> Holders:
        """Return the holders of the key that the signature says made it."""
        if signature.fingerprint:
            return self._policy.by_key_id(KeyWrapping.OPENPGP, signature.fingerprint)
        return tuple(each for each in self._enrolled if each[1].key_id[-16:] == signature.issuer)

    @cached_property
    def _enrolled(self) -> Holders:
        holders = self._policy.enrolled.values()
        openpgp = (each for each in holders if each[1].wrapping is KeyWrapping.OPENPGP)
        return tuple(each for each in openpgp if each[1].signs)

    def _signer(
        self, signature: OpenPgpSignature, named: Holders
    ) -> tuple[tuple[Builder, BuilderKey], bytes, tuple[Scheme, bytes]]:
        """Return who signed which content and how, or refuse with the reason."""
        name = signature.hash_name
        if not self._contents and self._too_long:
            text = f"the file that it signs has more than {sums.MOST_BYTES} bytes"
            raise refuse(sums.RULE, text)
        if not self._contents:
            raise refuse("ATT-ALONE", "the file that it signs is not here")
        if named and not any(held.signs for _, held in named):
            text = "the key is enrolled to certify its subkeys: its owner does not let it sign"
            raise refuse("QRM-ENROLLED", text)
        # A fingerprint is signed itself, a key id need not be: any key may have made it. Who is
        # named is tried on every file first, before a stranger's file can use up the trials.
        others = () if signature.fingerprint else self._enrolled[:MOST_TRIALS]
        fault = None
        for holders, content in product(filter(None, (named, others)), self._contents):
            hashed = hashed_content(content, name, signature.kind)
            digest = signature.digest(hashed)
            # It must begin as the signature says: no key is needed for that.
            for holder in holders if digest[:2] == signature.start else ():
                try:
                    return holder, content, self._tried(signature, holder[1], digest)
                except Refused as error:
                    fault = fault or error
        if named:
            raise fault or sig.no_fit()
        key = signature.fingerprint or signature.issuer or "that made it"
        raise refuse("QRM-ENROLLED", f"the key {key} belongs to no enrolled builder")

    def _tried(
        self, signature: OpenPgpSignature, key: BuilderKey, digest: bytes
    ) -> tuple[Scheme, bytes]:
        if self._trials == 0:
            raise refuse(SIGNATURE_RULE, f"at most {MOST_TRIALS} checks are made for one file")
        self._trials -= 1
        return signature.fitted(key.key, digest)

    def _unread(self, fault: Finding, named: Holders) -> Reading:
        if fault.rule == sig.RULE:
            return _malformed(self._file, "", fault)
        builder = named[0][0].id if named else ""
        says = self._says() if self._contents else None
        return Unverified(self._file.path, OPENPGP, builder, fault.rule, fault.text, says)

    def _says(self) -> Claims | None:
        try:
            return contents.claims(self._contents[0])
        except Refused:
            return None


def _malformed(file: MediaFile, builder: str, fault: Finding) -> Reading:
    return Malformed(file.path, OPENPGP, builder, fault.rule, fault.text)
