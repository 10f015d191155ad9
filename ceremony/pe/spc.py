"""SpcIndirectDataContent: the statement "this PE image has this SHA-256", as sbsign writes it.

Decides the exact bytes of the signed content and reads the digest out of a foreign one.
It refuses to know who signs it (cms.py).
Source: Microsoft, "Windows Authenticode Portable Executable Signature Format", section
"SpcIndirectDataContent".
"""

from __future__ import annotations

from typing import Annotated

from cryptography.hazmat import asn1

from ceremony.errors import refuse
from ceremony.pe.der import check_der
from ceremony.pe.oid import ObjectIdentifier
from ceremony.types import Digest, DigestKind

SPC_INDIRECT_DATA = ObjectIdentifier("1.3.6.1.4.1.311.2.1.4")
SPC_PE_IMAGE_DATA = ObjectIdentifier("1.3.6.1.4.1.311.2.1.15")
SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")
OBSOLETE = "<<<Obsolete>>>".encode("utf-16-be")
SHA256_BYTES = 32

# AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters NULL OPTIONAL }


@asn1.sequence
class AlgorithmIdentifier:
    """An algorithm whose parameters are NULL or absent; all that we write or read are."""

    algorithm: ObjectIdentifier
    parameters: asn1.Null | None


# SpcPeImageData ::= SEQUENCE {
#     flags SpcPeImageFlags DEFAULT { includeResources },      -- BIT STRING
#     file  [0] EXPLICIT SpcLink OPTIONAL }
# SpcLink ::= CHOICE { url [0], moniker [1], file [2] EXPLICIT SpcString }
# SpcString ::= CHOICE { unicode [0] IMPLICIT BMPSTRING, ascii [1] IMPLICIT IA5STRING }
#
# An EXPLICIT tag around one element has the bytes of an IMPLICIT SEQUENCE with one field,
# and a tagged BMPString those of a tagged OCTET STRING: so the nested choices, of which
# sbsign always takes the same ones, can be declared.


@asn1.sequence
class SpcString:
    """The choice `unicode`: UTF-16BE octets."""

    unicode: Annotated[bytes, asn1.Implicit(0)]


@asn1.sequence
class SpcLink:
    """The choice `file`."""

    file: Annotated[SpcString, asn1.Implicit(2)]


@asn1.sequence
class SpcPeImageData:
    """Flags (sbsign writes an empty BIT STRING) and the obsolete file name."""

    flags: asn1.BitString
    file: Annotated[SpcLink, asn1.Implicit(0)]


# SpcAttributeTypeAndOptionalValue ::= SEQUENCE { type OBJECT IDENTIFIER, value ANY }
# DigestInfo ::= SEQUENCE { digestAlgorithm AlgorithmIdentifier, digest OCTET STRING }
# SpcIndirectDataContent ::= SEQUENCE {
#     data          SpcAttributeTypeAndOptionalValue,
#     messageDigest DigestInfo }


@asn1.sequence
class SpcAttributeTypeAndOptionalValue:
    """What kind of thing is signed; for a PE image the value is an SpcPeImageData."""

    type: ObjectIdentifier
    value: asn1.TLV


@asn1.sequence
class DigestInfo:
    """A digest and its algorithm; also what RSA PKCS #1 v1.5 pads and signs."""

    algorithm: AlgorithmIdentifier
    digest: bytes


@asn1.sequence
class SpcIndirectDataContent:
    """The signed content of an Authenticode signature."""

    data: SpcAttributeTypeAndOptionalValue
    message_digest: DigestInfo


def sha256_algorithm() -> AlgorithmIdentifier:
    """Return sha256 with its parameters NULL, as sbsign writes it everywhere."""
    return AlgorithmIdentifier(algorithm=SHA256, parameters=asn1.Null())


def digest_info(sha256: bytes) -> bytes:
    """Return the DER DigestInfo of a SHA-256 value (RFC 8017, 9.2)."""
    return asn1.encode_der(DigestInfo(algorithm=sha256_algorithm(), digest=sha256))


def indirect_data(authenticode: Digest) -> bytes:
    """Return the DER SpcIndirectDataContent of an image's Authenticode SHA-256."""
    if authenticode.kind is not DigestKind.AUTHENTICODE_SHA256:
        raise TypeError(f"an image is signed by its Authenticode digest, not {authenticode.kind}")
    name = SpcLink(file=SpcString(unicode=OBSOLETE))
    image_data = SpcPeImageData(flags=asn1.BitString(b"", 0), file=name)
    content = SpcIndirectDataContent(
        data=SpcAttributeTypeAndOptionalValue(
            type=SPC_PE_IMAGE_DATA,
            value=asn1.decode_der(asn1.TLV, asn1.encode_der(image_data)),
        ),
        message_digest=DigestInfo(algorithm=sha256_algorithm(), digest=authenticode.value),
    )
    return asn1.encode_der(content)


def read_indirect_data(content: bytes) -> Digest | None:
    """Return the Authenticode digest in a DER SpcIndirectDataContent, None if not SHA-256.

    Raises Refused (SIG-DER, SIG-CMS) for anything that is no statement about a PE image.
    """
    check_der(content)
    try:
        read = asn1.decode_der(SpcIndirectDataContent, content)
    except ValueError as fault:
        raise refuse("SIG-CMS", "the signed content is no SpcIndirectDataContent") from fault
    if read.data.type != SPC_PE_IMAGE_DATA:
        raise refuse("SIG-CMS", "the signed content is not about a PE image")
    digest = read.message_digest
    if digest.algorithm.algorithm != SHA256 or len(digest.digest) != SHA256_BYTES:
        return None
    return Digest(DigestKind.AUTHENTICODE_SHA256, digest.digest)


def content_octets(content: bytes) -> bytes:
    """Return the octets inside the content's SEQUENCE, which the messageDigest is over.

    RFC 2315, 9.3: "only the contents octets of the DER encoding of that field are digested,
    not the identifier octets or the length octets".
    """
    return bytes(asn1.decode_der(asn1.TLV, content).data)
