from __future__ import annotations

import struct

import pytest
from cryptography.hazmat import asn1
from marks import refuses
from pe.images import MOMENT, Signer, uki

from ceremony.errors import Refused
from ceremony.pe.attach import attach, win_certificate
from ceremony.pe.certificate import read_certificate
from ceremony.pe.cms import Attribute, ContentInfo, encode_signed_data
from ceremony.pe.digest import CheckSum
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.pe.oid import ObjectIdentifier
from ceremony.pe.sign import plan
from ceremony.pe.verify import embedded_equals, verify
from ceremony.types import Severity

CHECKSUM_AT = 0xD8


def refusing(signed: bytes) -> set[str]:
    facts = inspect(signed, OPEN_GATES)
    return {f.rule for f in facts.findings if f.severity is Severity.REFUSE}


def with_entry(image: bytes, cms: bytes) -> bytes:
    """Attach any PKCS#7 without a look at it, CheckSum included."""
    entry = win_certificate(cms)
    signed = bytearray(image + entry)
    struct.pack_into("<II", signed, 0x128, len(image), len(entry))
    return checksummed(signed)


def checksummed(signed: bytearray) -> bytes:
    total = CheckSum(CHECKSUM_AT)
    total.update(bytes(signed))
    struct.pack_into("<I", signed, CHECKSUM_AT, total.value())
    return bytes(signed)


def pkcs7(signed: bytes) -> bytes:
    (table,) = struct.unpack_from("<I", signed, 0x128)
    (length,) = struct.unpack_from("<I", signed, table)
    return signed[table + 8 : table + length]


@refuses("SIG-MISSING")
def test_an_unsigned_file_does_not_verify(alice: Signer) -> None:
    assert [f.rule for f in verify(uki(), alice.certificate)] == ["SIG-MISSING"]


@refuses("SIG-SIGNER")
def test_another_certificate_is_refused(bob: Signer, signed: bytes) -> None:
    assert [f.rule for f in verify(signed, bob.certificate)] == ["SIG-SIGNER"]


def test_a_certificate_that_is_none_is_refused(signed: bytes) -> None:
    assert [f.rule for f in verify(signed, b"none")] == ["SIG-CERTIFICATE"]


@refuses("SIG-CHECKSUM")
def test_a_wrong_checksum_is_refused(alice: Signer, signed: bytes) -> None:
    broken = bytearray(signed)
    broken[CHECKSUM_AT] ^= 1
    assert [f.rule for f in verify(bytes(broken), alice.certificate)] == ["SIG-CHECKSUM"]


@refuses("SIG-ATTACH")
def test_a_signed_file_that_is_not_image_and_signature_is_refused(
    alice: Signer, signed: bytes
) -> None:
    cms = pkcs7(signed)
    assert embedded_equals(uki(), cms, signed) == ()
    broken = bytearray(signed)
    broken[CHECKSUM_AT] ^= 1
    for other in (bytes(broken), signed[:-8], signed + bytes(8), uki()):
        assert [f.rule for f in embedded_equals(uki(), cms, other)] == ["SIG-ATTACH"]
    assert [f.rule for f in embedded_equals(uki("aarch64"), cms, signed)] == ["SIG-DIGEST"]


def test_every_flipped_byte_of_a_signed_file_is_noticed(alice: Signer, signed: bytes) -> None:
    for at in (
        *range(0, 1024, 3),
        *range(1024, len(signed), 7),
        *range(len(signed) - 1600, len(signed)),
    ):
        broken = bytearray(signed)
        broken[at] ^= 1
        assert verify(bytes(broken), alice.certificate), at


@refuses("SIG-PROFILE")
def test_another_encoding_of_a_good_signature_is_refused(alice: Signer, signed: bytes) -> None:
    read = asn1.decode_der(ContentInfo, pkcs7(signed))
    # A SignerInfo's unsigned attributes are not covered by the signature.
    signer = read.content.signers.as_list()[0]
    kind, value = ObjectIdentifier("1.2.3"), asn1.decode_der(asn1.TLV, b"\x05\0")
    signer.unsigned = [Attribute(type=kind, values=asn1.SetOf([value]))]
    read.content.signers = asn1.SetOf([signer])
    other = with_entry(uki(), asn1.encode_der(read))
    assert refusing(other) == set()
    assert [f.rule for f in verify(other, alice.certificate)] == ["SIG-PROFILE"]


@refuses("SIG-SIGNERS")
def test_two_or_no_signer_infos_are_refused(alice: Signer, signed: bytes) -> None:
    read = asn1.decode_der(ContentInfo, pkcs7(signed))
    signer = read.content.signers.as_list()[0]
    for signers in ([signer, signer], []):
        read.content.signers = asn1.SetOf(signers)
        other = with_entry(uki(), asn1.encode_der(read))
        assert refusing(other) == {"SIG-SIGNERS"}
        assert [f.rule for f in verify(other, alice.certificate)] == ["SIG-SIGNERS"]


@refuses("SIG-SIGNER")
def test_a_signature_without_its_certificate_is_refused(
    alice: Signer, bob: Signer, signed: bytes
) -> None:
    read = asn1.decode_der(ContentInfo, pkcs7(signed))
    for certificates in (None, [asn1.decode_der(asn1.TLV, bob.certificate)]):
        read.content.certificates = certificates
        assert refusing(with_entry(uki(), asn1.encode_der(read))) == {"SIG-SIGNER"}


@refuses("SIG-CERTIFICATE")
def test_a_signature_with_a_certificate_that_is_none_is_refused(signed: bytes) -> None:
    read = asn1.decode_der(ContentInfo, pkcs7(signed))
    none = asn1.decode_der(asn1.TLV, b"\x30\0")
    read.content.certificates = [none, *(read.content.certificates or [])]
    assert refusing(with_entry(uki(), asn1.encode_der(read))) == {"SIG-CERTIFICATE"}
    read.content.certificates *= 9
    assert refusing(with_entry(uki(), asn1.encode_der(read))) == {"SIG-CERTIFICATE"}


@refuses("SIG-ATTRIBUTES")
def test_attributes_of_another_content_are_refused(alice: Signer, signed: bytes) -> None:
    here = plan(uki(), alice.certificate, (), MOMENT)
    there = plan(uki("aarch64"), alice.certificate, (), MOMENT)
    cms = encode_signed_data(
        here.indirect_data,
        there.attributes,
        alice.sign(there.attributes),
        here.algorithm,
        (read_certificate(alice.certificate),),
    )
    assert refusing(with_entry(uki(), cms)) == {"SIG-ATTRIBUTES"}
    with pytest.raises(Refused):
        attach(uki(), cms)


@refuses("SIG-ATTRIBUTES")
def test_a_signature_without_attributes_is_refused(alice: Signer, signed: bytes) -> None:
    read = asn1.decode_der(ContentInfo, pkcs7(signed))
    signer = read.content.signers.as_list()[0]
    signer.attributes = None
    read.content.signers = asn1.SetOf([signer])
    assert "SIG-ATTRIBUTES" in refusing(with_entry(uki(), asn1.encode_der(read)))
