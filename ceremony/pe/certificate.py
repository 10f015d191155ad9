"""What a signature needs of an X.509 certificate: its issuer's exact bytes, serial, key.

Decides whether bytes are one strict DER certificate and whether its key is one that
firmware accepts. It refuses to know validity, key usage and trust: those are judged where
the token is (rules KEY-) and by policy.
Source: RFC 5280, 4.1.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from ceremony.distinguished_name import dn_text
from ceremony.errors import Refused, refuse
from ceremony.pe.certificate_form import (
    is_algorithm,
    is_extension,
    is_name,
    is_public_key,
    is_validity,
)
from ceremony.pe.der import check_der
from ceremony.pe.oid import ObjectIdentifier
from ceremony.show import escaped

if TYPE_CHECKING:
    from cryptography import x509

MOST_CERTIFICATE_BYTES = 32768
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)
VERSIONS = (0, 2)  # RFC 5280, 4.1.2.1: v1, v3; nobody issues v2
KEY_KINDS = (  # rsaEncryption, id-ecPublicKey
    asn1.encode_der(ObjectIdentifier("1.2.840.113549.1.1.1")),
    asn1.encode_der(ObjectIdentifier("1.2.840.10045.2.1")),
)
LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 16384

# Certificate ::= SEQUENCE {
#     tbsCertificate TBSCertificate, signatureAlgorithm AlgorithmIdentifier,
#     signatureValue BIT STRING }
# TBSCertificate ::= SEQUENCE {
#     version [0] EXPLICIT INTEGER DEFAULT v1, serialNumber INTEGER,
#     signature AlgorithmIdentifier, issuer Name, validity Validity, subject Name,
#     subjectPublicKeyInfo SubjectPublicKeyInfo,
#     issuerUniqueID [1] IMPLICIT BIT STRING OPTIONAL,
#     subjectUniqueID [2] IMPLICIT BIT STRING OPTIONAL,
#     extensions [3] EXPLICIT SEQUENCE OF Extension OPTIONAL }


@asn1.sequence
class TBSCertificate:
    """The signed part, everything that is only passed on kept as it stands."""

    version: Annotated[int, asn1.Explicit(0), asn1.Default(0)]
    serial: int
    signature: asn1.TLV
    issuer: asn1.TLV
    validity: asn1.TLV
    subject: asn1.TLV
    public_key: asn1.TLV
    issuer_id: Annotated[asn1.BitString | None, asn1.Implicit(1)]
    subject_id: Annotated[asn1.BitString | None, asn1.Implicit(2)]
    extensions: Annotated[list[asn1.TLV] | None, asn1.Explicit(3)]


@asn1.sequence
class CertificateForm:
    """The outer form of a certificate."""

    tbs: TBSCertificate
    algorithm: asn1.TLV
    value: asn1.BitString


# SubjectPublicKeyInfo ::= SEQUENCE {
#     algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }


@asn1.sequence
class PublicKeyInfo:
    """A public key and its kind, whatever the kind's parameters."""

    algorithm: asn1.TLV
    key: asn1.BitString


class Algorithm(StrEnum):
    """How the signed attributes are signed; SHA-256 in both."""

    RSA = "rsa-pkcs1-sha256"
    ECDSA = "ecdsa-sha256"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate: its DER, the issuer Name's DER, serial number, key's DER (SPKI)."""

    der: bytes
    issuer: bytes
    serial: int
    key: bytes

    @property
    def subject(self) -> str:
        """Return whose it is, escaped text in the form of RFC 4514."""
        return self._names()[0]

    @property
    def issued_by(self) -> str:
        """Return whose key signed it, by name."""
        return self._names()[1]

    def _names(self) -> tuple[str, str]:
        try:
            loaded = load(self)
            names = (dn_text(loaded.subject), dn_text(loaded.issuer))
        except UNREADABLE:
            return ("(a name that cannot be read)",) * 2
        return escaped(names[0]), escaped(names[1])


def read_certificate(der: bytes) -> Certificate:
    """Read one DER certificate; raises Refused (SIG-CERTIFICATE)."""
    if len(der) > MOST_CERTIFICATE_BYTES:
        text = f"a certificate of {len(der)} bytes, more than {MOST_CERTIFICATE_BYTES}"
        raise refuse("SIG-CERTIFICATE", text)
    try:
        check_der(der)
        whole = asn1.decode_der(CertificateForm, der)
    except (ValueError, Refused) as fault:
        raise refuse("SIG-CERTIFICATE", "the bytes are no strict DER certificate") from fault
    tbs = whole.tbs
    if odd := _malformed(whole):
        raise refuse("SIG-CERTIFICATE", f"the certificate's {odd} is not of X.509's form")
    if tbs.version not in VERSIONS:
        raise refuse("SIG-CERTIFICATE", "the certificate is neither of version 1 nor of version 3")
    issuer, key = asn1.encode_der(tbs.issuer), asn1.encode_der(tbs.public_key)
    return Certificate(der, issuer, tbs.serial, key)


def read_signer(der: bytes) -> Certificate:
    """Read a certificate to sign with, its serial number positive; Refused (SIG-CERTIFICATE).

    RFC 5280, 4.1.2.2 wants that of all. Old roots have 0, and stand in signatures that firmware
    and OpenSSL take: there it is not asked.
    """
    signer = read_certificate(der)
    if signer.serial <= 0:
        raise refuse("SIG-CERTIFICATE", "the certificate's serial number is not positive")
    return signer


def _malformed(certificate: CertificateForm) -> str:
    """Return the first part that is not of its form, empty where all are."""
    tbs = certificate.tbs
    parts = (
        ("signature algorithm", is_algorithm, (tbs.signature, certificate.algorithm)),
        ("name", is_name, (tbs.issuer, tbs.subject)),
        ("validity", is_validity, (tbs.validity,)),
        ("public key", is_public_key, (tbs.public_key,)),
        ("extension", is_extension, tuple(tbs.extensions or ())),
    )
    return next((n for n, fits, tlvs in parts if not all(fits(_der(t)) for t in tlvs)), "")


def _der(tlv: asn1.TLV) -> bytes:
    return asn1.encode_der(tlv)


def subject_name(certificate: Certificate) -> bytes:
    """Return the DER Name of whose certificate it is."""
    return asn1.encode_der(asn1.decode_der(CertificateForm, certificate.der).tbs.subject)


def load(certificate: Certificate) -> x509.Certificate:
    """Return what the library makes of it; raises one of UNREADABLE."""
    from cryptography import x509  # noqa: PLC0415 - slow to load, and a plain signature needs none

    with warnings.catch_warnings():
        # Odd but readable certificates (a country of one letter, say) are shown, not judged.
        warnings.simplefilter("ignore")
        return x509.load_der_x509_certificate(certificate.der)


def signing_key(certificate: Certificate) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    """Return the certificate's public key, RSA of 2048 bits or more, or P-256 or P-384.

    Raises Refused (SIG-KEY) for every other key.
    """
    try:
        kind = bytes(asn1.decode_der(PublicKeyInfo, certificate.key).algorithm.data)
        key = load_der_public_key(certificate.key)
    except UNREADABLE as fault:
        raise refuse("SIG-KEY", "the certificate's key cannot be read") from fault
    if not kind.startswith(KEY_KINDS):
        # An RSASSA-PSS key (RFC 4055) loads as any other, but may not sign as sbsign does.
        raise refuse("SIG-KEY", "the certificate's key is neither plain RSA nor elliptic curve")
    if isinstance(key, rsa.RSAPublicKey):
        if LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
            return key
        raise refuse("SIG-KEY", f"RSA with {key.key_size} bits is not 2048 to 16384")
    if isinstance(key, ec.EllipticCurvePublicKey):
        if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            return key
        raise refuse("SIG-KEY", f"curve {key.curve.name} is not P-256 or P-384")
    raise refuse("SIG-KEY", "the certificate's key is neither RSA nor elliptic curve")


def public_key_info(certificate: Certificate) -> bytes:
    """Return the certificate's key as DER SubjectPublicKeyInfo; raises Refused (SIG-KEY)."""
    return signing_key(certificate).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_algorithm(certificate: Certificate) -> Algorithm:
    """Return how the certificate's key signs; raises Refused (SIG-KEY)."""
    key = signing_key(certificate)
    return Algorithm.RSA if isinstance(key, rsa.RSAPublicKey) else Algorithm.ECDSA


def verifies(certificate: Certificate, signature: bytes, message: bytes) -> bool:
    """Say whether `signature` is the key's over SHA-256 of `message`; Refused (SIG-KEY)."""
    key = signing_key(certificate)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def sha256(data: bytes) -> bytes:
    """Return the 32 bytes of a SHA-256."""
    return hashlib.sha256(data).digest()
