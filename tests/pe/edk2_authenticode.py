"""Our reading of EDK2's AuthenticodeVerify: does one PKCS#7 sign a digest under one certificate.

Written from the description of CryptoPkg's CryptAuthenticode and CryptPkcs7Verify, and shares
nothing with `ceremony`. The certificate may be leaf, intermediate or root; dates, key usage
and purposes are not looked at. Only RSA: OVMF and AAVMF refuse ECDSA.
Stricter than OpenSSL in one way: lengths must be definite.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
SPC_INDIRECT_DATA = bytes.fromhex("2b060104018237020104")
MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
HASHES: dict[bytes, tuple[str, hashes.HashAlgorithm]] = {  # by the contents of the identifier
    bytes.fromhex("2b0e03021a"): ("sha1", hashes.SHA1()),
    bytes.fromhex("608648016503040201"): ("sha256", hashes.SHA256()),
    bytes.fromhex("608648016503040202"): ("sha384", hashes.SHA384()),
    bytes.fromhex("608648016503040203"): ("sha512", hashes.SHA512()),
}
SEQUENCE, SET, OCTETS, OBJECT = 0x30, 0x31, 0x04, 0x06
TAGGED_0, TAGGED_1 = 0xA0, 0xA1
MOST_CHAIN, MOST_CERTIFICATES, MOST_SIGNERS = 10, 64, 16
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


class MalformedError(ValueError):
    """The PKCS#7 is not of the form that d2i_PKCS7 reads."""


@dataclass(frozen=True)
class Element:
    """One tag, its contents and the bytes of both."""

    tag: int
    contents: bytes
    whole: bytes


def elements(data: bytes) -> Iterator[Element]:
    """Yield the elements that stand one behind the other in `data`."""
    at = 0
    while at < len(data):
        element = first(data, at)
        yield element
        at += len(element.whole)


def first(data: bytes, at: int = 0) -> Element:
    """Return the element that stands at `at`; what follows it is not looked at."""
    if len(data) - at < 2 or data[at] & 0x1F == 0x1F or data[at + 1] == 0x80:
        raise MalformedError
    start, length = at + 2, data[at + 1]
    if length & 0x80:
        start = at + 2 + (length & 0x7F)
        length = int.from_bytes(data[at + 2 : start], "big")
    if start + length > len(data):
        raise MalformedError
    return Element(data[at], data[start : start + length], data[at : start + length])


class Fields:
    """The fields of a SEQUENCE, taken one after the other."""

    def __init__(self, element: Element) -> None:
        if element.tag != SEQUENCE:
            raise MalformedError
        self._left = list(elements(element.contents))

    def take(self, tag: int) -> Element:
        if not self._left or self._left[0].tag != tag:
            raise MalformedError
        return self._left.pop(0)

    def maybe(self, tag: int) -> Element | None:
        return self.take(tag) if self._left and self._left[0].tag == tag else None


@dataclass(frozen=True)
class Signer:
    """One SignerInfo; `attributes` is the SET whose bytes are signed, None without any."""

    issuer: bytes
    serial: int
    digest: bytes
    attributes: bytes | None
    value: bytes


@dataclass(frozen=True)
class Pkcs7:
    """A SignedData; `content` is the whole SpcIndirectDataContent."""

    content: bytes
    certificates: tuple[x509.Certificate, ...]
    signers: tuple[Signer, ...]


def certificate(der: bytes) -> x509.Certificate:
    """Load a certificate; odd ones are loaded without a word, as OpenSSL does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = x509.load_der_x509_certificate(der)
        loaded.public_key()
        return loaded


def read_pkcs7(blob: bytes) -> Pkcs7:
    """Read a ContentInfo with SignedData; raises MalformedError."""
    outer = Fields(first(blob))
    if outer.take(OBJECT).contents != SIGNED_DATA:
        raise MalformedError
    data = Fields(first(outer.take(TAGGED_0).contents))
    data.take(0x02)
    data.take(SET)
    inner = Fields(data.take(SEQUENCE))
    if inner.take(OBJECT).contents != SPC_INDIRECT_DATA:
        raise MalformedError
    content = first(inner.take(TAGGED_0).contents).whole
    carried = data.maybe(TAGGED_0)
    data.maybe(TAGGED_1)
    ders = [] if carried is None else [e.whole for e in elements(carried.contents)]
    infos = list(elements(data.take(SET).contents))
    if len(ders) > MOST_CERTIFICATES or len(infos) > MOST_SIGNERS:
        raise MalformedError
    try:
        certificates = tuple(certificate(der) for der in ders)
    except UNREADABLE as fault:
        raise MalformedError from fault
    return Pkcs7(content, certificates, tuple(_signer(info) for info in infos))


def _signer(info: Element) -> Signer:
    fields = Fields(info)
    fields.take(0x02)
    names = Fields(fields.take(SEQUENCE))
    issuer = names.take(SEQUENCE).whole
    serial = int.from_bytes(names.take(0x02).contents, "big", signed=True)
    digest = Fields(fields.take(SEQUENCE)).take(OBJECT).contents
    signed = fields.maybe(TAGGED_0)
    fields.take(SEQUENCE)  # its algorithm is not looked at: the key says how to verify
    attributes = None if signed is None else bytes((SET,)) + signed.whole[1:]
    return Signer(issuer, serial, digest, attributes, fields.take(OCTETS).contents)


def authenticode_verify(pkcs7: Pkcs7, trusted: x509.Certificate, digest: bytes) -> bool:
    """Say whether `pkcs7` signs an image of this digest by one who reaches `trusted`."""
    contents = first(pkcs7.content).contents
    if contents[-len(digest) :] != digest or not pkcs7.signers:
        return False
    return all(_verifies(signer, pkcs7, trusted, contents) for signer in pkcs7.signers)


def signing_chain(pkcs7: Pkcs7) -> Iterator[x509.Certificate]:
    """Yield the signers' certificates and those carried that issued them."""
    for signer in pkcs7.signers:
        found = _leaf(signer, pkcs7)
        if found is not None:
            yield from _chain(found, pkcs7)


def _verifies(signer: Signer, pkcs7: Pkcs7, trusted: x509.Certificate, contents: bytes) -> bool:
    leaf = _leaf(signer, pkcs7)
    if leaf is None or signer.digest not in HASHES or not _reaches(leaf, pkcs7, trusted):
        return False
    name, algorithm = HASHES[signer.digest]
    message = contents
    if signer.attributes is not None:
        if _message_digest(signer.attributes) != hashlib.new(name, contents).digest():
            return False
        message = signer.attributes
    key = leaf.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signer.value, message, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def _message_digest(attributes: bytes) -> bytes | None:
    for attribute in elements(first(attributes).contents):
        fields = Fields(attribute)
        if fields.take(OBJECT).contents == MESSAGE_DIGEST:
            return first(fields.take(SET).contents).contents
    return None


def _leaf(signer: Signer, pkcs7: Pkcs7) -> x509.Certificate | None:
    for carried in pkcs7.certificates:
        if carried.serial_number == signer.serial and carried.issuer.public_bytes() == (
            signer.issuer
        ):
            return carried
    return None


def _chain(leaf: x509.Certificate, pkcs7: Pkcs7) -> Iterator[x509.Certificate]:
    seen = [leaf]
    while len(seen) <= MOST_CHAIN:
        yield seen[-1]
        above = (c for c in pkcs7.certificates if c not in seen and _issued(c, seen[-1]))
        issuer = next(above, None)
        if issuer is None:
            return
        seen.append(issuer)


def _reaches(leaf: x509.Certificate, pkcs7: Pkcs7, trusted: x509.Certificate) -> bool:
    # X509_V_FLAG_PARTIAL_CHAIN: any certificate of the chain may be the trusted one.
    return any(link == trusted or _issued(trusted, link) for link in _chain(leaf, pkcs7))


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    if subject.issuer != issuer.subject or not _is_ca(issuer):
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (*UNREADABLE, InvalidSignature):
        return False
    return True


def _is_ca(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (*UNREADABLE, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False
