"""PKCS#7 SignedData in the exact form of sbsign on Debian, and a strict reader of any form.

Decides every byte between the signed content and the signature value but the list of
ciphers, which the profile names (profile.py). It refuses to know images, files and trust.
Sources: RFC 2315 (PKCS #7), RFC 2985 (attributes).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from cryptography.hazmat import asn1

from ceremony.errors import refuse
from ceremony.pe.certificate import Algorithm, Certificate
from ceremony.pe.der import LONG_FORM, check_der
from ceremony.pe.oid import ObjectIdentifier
from ceremony.pe.profile import Profile, capabilities
from ceremony.pe.spc import (
    SPC_INDIRECT_DATA,
    AlgorithmIdentifier,
    content_octets,
    sha256_algorithm,
)

SIGNED_DATA = ObjectIdentifier("1.2.840.113549.1.7.2")
CONTENT_TYPE = ObjectIdentifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = ObjectIdentifier("1.2.840.113549.1.9.4")
SIGNING_TIME = ObjectIdentifier("1.2.840.113549.1.9.5")
SMIME_CAPABILITIES = ObjectIdentifier("1.2.840.113549.1.9.15")
RSA_ENCRYPTION = ObjectIdentifier("1.2.840.113549.1.1.1")
SHA256_WITH_RSA = ObjectIdentifier("1.2.840.113549.1.1.11")
EC_PUBLIC_KEY = ObjectIdentifier("1.2.840.10045.2.1")
ECDSA_WITH_SHA256 = ObjectIdentifier("1.2.840.10045.4.3.2")
FIRST_YEAR, LAST_YEAR = 1950, 2049  # RFC 5280, 4.1.2.5.1: what UTCTime can say
SET_OF, SEQUENCE_OF = b"\x31", b"\x30"


# Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY }


@asn1.sequence
class Attribute:
    """One attribute; every one that is written here has exactly one value."""

    type: ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


# Attributes ::= SET OF Attribute
#
# Held in a SEQUENCE here, as the encoder's roots are sequences; DER sorts the set.


@asn1.sequence
class AttributeHolder:
    """A SEQUENCE around the SET OF Attribute."""

    attributes: asn1.SetOf[Attribute]


# IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber INTEGER }
# SignerInfo ::= SEQUENCE {
#     version INTEGER, issuerAndSerialNumber, digestAlgorithm AlgorithmIdentifier,
#     authenticatedAttributes   [0] IMPLICIT SET OF Attribute OPTIONAL,
#     digestEncryptionAlgorithm AlgorithmIdentifier, encryptedDigest OCTET STRING,
#     unauthenticatedAttributes [1] IMPLICIT SET OF Attribute OPTIONAL }
#
# A tagged SEQUENCE OF has the bytes of a tagged SET OF in the order given: foreign writers
# leave sets unsorted, and sbsign's certificates are unsorted too.


@asn1.sequence
class IssuerAndSerial:
    """Which certificate signed."""

    issuer: asn1.TLV
    serial: int


@asn1.sequence
class SignerInfo:
    """Who signed what, and the signature value."""

    version: int
    signer: IssuerAndSerial
    digest_algorithm: AlgorithmIdentifier
    attributes: Annotated[list[Attribute] | None, asn1.Implicit(0)]
    signature_algorithm: AlgorithmIdentifier
    signature: bytes
    unsigned: Annotated[list[Attribute] | None, asn1.Implicit(1)]


# ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }
# SignedData ::= SEQUENCE {
#     version INTEGER, digestAlgorithms SET OF AlgorithmIdentifier, contentInfo ContentInfo,
#     certificates [0] IMPLICIT SET OF Certificate OPTIONAL,
#     crls         [1] IMPLICIT SET OF CertificateRevocationList OPTIONAL,
#     signerInfos  SET OF SignerInfo }


@asn1.sequence
class EncapsulatedContent:
    """The signed content and its type."""

    type: ObjectIdentifier
    content: Annotated[asn1.TLV, asn1.Explicit(0)]


@asn1.sequence
class SignedData:
    """Content, certificates and signers."""

    version: int
    digest_algorithms: asn1.SetOf[AlgorithmIdentifier]
    content: EncapsulatedContent
    certificates: Annotated[list[asn1.TLV] | None, asn1.Implicit(0)]
    crls: Annotated[list[asn1.TLV] | None, asn1.Implicit(1)]
    signers: asn1.SetOf[SignerInfo]


@asn1.sequence
class ContentInfo:
    """The outermost form."""

    type: ObjectIdentifier
    content: Annotated[SignedData, asn1.Explicit(0)]


@dataclass(frozen=True, slots=True)
class SignedAttributes:
    """What a profile's signed attributes say."""

    signing_time: datetime
    message_digest: bytes
    profile: Profile = Profile.SBSIGN


def check_signing_time(signing_time: datetime) -> None:
    """Raise Refused (SIG-TIME) unless the time is whole seconds in UTC, 1950 to 2049.

    OpenSSL, and so sbsign, writes years from 2050 on in a malformed way.
    """
    if signing_time.tzinfo is None or signing_time.utcoffset() != UTC.utcoffset(None):
        raise refuse("SIG-TIME", "the signing time is not in UTC")
    if signing_time.microsecond:
        raise refuse("SIG-TIME", "the signing time has fractions of a second")
    if not FIRST_YEAR <= signing_time.year <= LAST_YEAR:
        raise refuse("SIG-TIME", f"year {signing_time.year} is not {FIRST_YEAR} to {LAST_YEAR}")


def encode_attributes(said: SignedAttributes) -> bytes:
    """Return the DER SET OF Attribute, the exact bytes that are signed (sbsign's: 232)."""
    check_signing_time(said.signing_time)
    ciphers = capabilities(said.profile)
    values = (
        (CONTENT_TYPE, asn1.encode_der(SPC_INDIRECT_DATA)),
        (SIGNING_TIME, asn1.encode_der(asn1.UTCTime(said.signing_time))),
        (MESSAGE_DIGEST, asn1.encode_der(said.message_digest)),
        (SMIME_CAPABILITIES, SEQUENCE_OF + _length(len(ciphers)) + ciphers),
    )
    holder = AttributeHolder(
        attributes=asn1.SetOf(
            [Attribute(type=kind, values=asn1.SetOf([_tlv(value)])) for kind, value in values]
        )
    )
    return content_octets(asn1.encode_der(holder))


def read_attributes(
    attributes: bytes, profiles: tuple[Profile, ...] = (Profile.SBSIGN,)
) -> SignedAttributes:
    """Read signed attributes of one of the profiles back; raises Refused (SIG-ATTRIBUTES).

    Only bytes that `encode_attributes` would write again are accepted.
    """
    try:
        check_der(attributes)
        found = {a.type: a.values.as_list() for a in _attributes(attributes)}
        moment = found[SIGNING_TIME][0].parse(asn1.UTCTime).as_datetime()
        digest = found[MESSAGE_DIGEST][0].parse(bytes)
    except (ValueError, LookupError) as fault:
        raise refuse("SIG-ATTRIBUTES", "the signed attributes cannot be read") from fault
    for profile in profiles:
        said = SignedAttributes(moment, digest, profile)
        if encode_attributes(said) == attributes:
            return said
    text = f"the signed attributes are not in the form of {' or '.join(profiles)}"
    raise refuse("SIG-ATTRIBUTES", text)


def encode_signed_data(
    content: bytes,
    attributes: bytes,
    signature: bytes,
    algorithm: Algorithm,
    certificates: tuple[Certificate, ...],
) -> bytes:
    """Return the DER PKCS#7, the bytes of `sbsign --detached`; the first certificate signs."""
    parameters = asn1.Null() if algorithm is Algorithm.RSA else None
    signed_with = RSA_ENCRYPTION if algorithm is Algorithm.RSA else ECDSA_WITH_SHA256
    signer = SignerInfo(
        version=1,
        signer=IssuerAndSerial(issuer=_tlv(certificates[0].issuer), serial=certificates[0].serial),
        digest_algorithm=sha256_algorithm(),
        attributes=_attributes(attributes),
        signature_algorithm=AlgorithmIdentifier(algorithm=signed_with, parameters=parameters),
        signature=signature,
        unsigned=None,
    )
    signed_data = SignedData(
        version=1,
        digest_algorithms=asn1.SetOf([sha256_algorithm()]),
        content=EncapsulatedContent(type=SPC_INDIRECT_DATA, content=_tlv(content)),
        certificates=[_tlv(certificate.der) for certificate in certificates],
        crls=None,
        signers=asn1.SetOf([signer]),
    )
    return asn1.encode_der(ContentInfo(type=SIGNED_DATA, content=signed_data))


def read_signed_data(pkcs7: bytes) -> SignedData:
    """Read a PKCS#7 SignedData strictly; raises Refused (SIG-DER, SIG-CMS)."""
    check_der(pkcs7)
    try:
        read = asn1.decode_der(ContentInfo, pkcs7)
    except ValueError as fault:
        raise refuse("SIG-CMS", "the PKCS#7 is not of the known form") from fault
    if read.type != SIGNED_DATA or read.content.content.type != SPC_INDIRECT_DATA:
        raise refuse("SIG-CMS", "the PKCS#7 is not signed data over an SpcIndirectDataContent")
    if read.content.crls is not None:
        raise refuse("SIG-CMS", "the PKCS#7 carries revocation lists, which nobody reads")
    return read.content


def signed_bytes(signer: SignerInfo) -> bytes | None:
    """Return the signed attributes in the form that is signed, a SET OF; None without any."""
    if signer.attributes is None:
        return None
    octets = b"".join(asn1.encode_der(attribute) for attribute in signer.attributes)
    return SET_OF + _length(len(octets)) + octets


def attribute_value(signer: SignerInfo, kind: ObjectIdentifier) -> bytes | None:
    """Return the DER of the one value of the one attribute of a kind, None otherwise."""
    values = [a.values.as_list() for a in signer.attributes or () if a.type == kind]
    if len(values) != 1 or len(values[0]) != 1:
        return None
    return asn1.encode_der(values[0][0])


def _attributes(attributes: bytes) -> list[Attribute]:
    held = SEQUENCE_OF + _length(len(attributes)) + attributes
    return asn1.decode_der(AttributeHolder, held).attributes.as_list()


def _tlv(element: bytes) -> asn1.TLV:
    return asn1.decode_der(asn1.TLV, element)


def _length(size: int) -> bytes:
    if size < LONG_FORM:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((LONG_FORM | len(octets),)) + octets
