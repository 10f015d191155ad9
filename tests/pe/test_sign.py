from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from marks import accepts, refuses
from pe.images import CODE, MOMENT, RETURN, Part, Signer, ed25519_certificate, pe_image, signer, uki

from ceremony.errors import Refused
from ceremony.pe.attach import attach, tail
from ceremony.pe.cms import encode_attributes, read_attributes
from ceremony.pe.digest import file_sha256
from ceremony.pe.layout import read_layout
from ceremony.pe.sign import (
    SigningPlan,
    assemble,
    check_signature,
    plan,
    plan_ecdsa,
    plan_for,
    read_plan_attributes,
)
from ceremony.pe.verify import embedded_equals, verify
from ceremony.types import DigestKind


def rules(refused: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [finding.rule for finding in refused.value.findings]


def joined(image: bytes, planned: SigningPlan, signature: bytes) -> bytes:
    return b"".join(assemble(image, planned, signature).pieces())


def test_the_plan_is_the_same_for_the_same_inputs(alice: Signer) -> None:
    planned = plan(uki(), alice.certificate, (), MOMENT)
    assert planned == plan(memoryview(uki()), alice.certificate, (), MOMENT)
    assert len(planned.attributes) == 232
    assert planned.authenticode.kind is DigestKind.AUTHENTICODE_SHA256
    assert read_plan_attributes(planned.attributes).signing_time == MOMENT
    assert planned.to_be_signed_sha256 == hashlib.sha256(planned.attributes).digest()


def test_the_digest_info_is_what_rsa_pads(alice: Signer) -> None:
    planned = plan(uki(), alice.certificate, (), MOMENT)
    assert isinstance(alice.key, rsa.RSAPrivateKey)
    numbers = alice.key.private_numbers()
    padded = b"\0\1" + b"\xff" * (256 - 3 - 51) + b"\0" + planned.digest_info()
    raw = pow(int.from_bytes(padded), numbers.d, numbers.public_numbers.n).to_bytes(256)
    assert raw == alice.key.sign(
        planned.to_be_signed_sha256, padding.PKCS1v15(), Prehashed(SHA256())
    )
    assert check_signature(planned, raw) == ()


@accepts("SIG-VALUE", "SIG-TIME", "SIG-PROFILE", "SIG-MISSING", "SIG-CHECKSUM", "SIG-ATTACH")
def test_what_is_assembled_verifies_and_is_rebuilt_without_the_key(alice: Signer) -> None:
    image = uki()
    planned = plan(image, alice.certificate, (), MOMENT)
    made = assemble(image, planned, alice.sign(planned.attributes))
    signed = b"".join(made.pieces())
    assert len(signed) == made.size
    assert hashlib.sha256(signed).digest() == made.sha256.value
    assert verify(signed, alice.certificate) == ()
    assert embedded_equals(image, made.cms, signed) == ()
    assert attach(image, made.cms) == made


def test_signing_changes_twelve_bytes_of_the_image(alice: Signer, signed: bytes) -> None:
    image = uki()
    changed = [at for at, (a, b) in enumerate(zip(image, signed, strict=False)) if a != b]
    assert set(changed) <= {*range(0xD8, 0xDC), *range(0x128, 0x130)}


def test_the_image_is_not_copied(alice: Signer) -> None:
    image = uki(initrd=b"\x1f\x8b" + bytes(1 << 20))
    planned = plan(image, alice.certificate, (), MOMENT)
    pieces = list(assemble(image, planned, alice.sign(planned.attributes)).pieces())
    assert any(isinstance(p, memoryview) and p.obj is image and len(p) > 1 << 20 for p in pieces)
    assert sum(len(p) for p in pieces if isinstance(p, bytes)) < 8192


def test_a_second_signature_keeps_the_first(alice: Signer, bob: Signer, signed: bytes) -> None:
    planned = plan(signed, bob.certificate, (alice.certificate,), MOMENT)
    twice = joined(signed, planned, bob.sign(planned.attributes))
    assert verify(twice, bob.certificate) == ()
    assert [f.rule for f in verify(twice, alice.certificate)] == ["SIG-SIGNER"]


@refuses("SIG-VALUE")
def test_a_signature_of_another_key_plan_or_nothing_is_refused(alice: Signer, bob: Signer) -> None:
    image = uki()
    planned = plan(image, alice.certificate, (), MOMENT)
    later = plan(image, alice.certificate, (), MOMENT + timedelta(seconds=1))
    for signature in (
        bob.sign(planned.attributes),
        alice.sign(later.attributes),
        bytes(256),
        b"",
        alice.sign(planned.attributes)[:-1],
        alice.sign(planned.attributes) + b"\0",
    ):
        assert [f.rule for f in check_signature(planned, signature)] == ["SIG-VALUE"]
        with pytest.raises(Refused) as refused:
            assemble(image, planned, signature)
        assert rules(refused) == ["SIG-VALUE"]


@refuses("SIG-DIGEST")
def test_a_plan_of_another_image_is_refused(alice: Signer) -> None:
    planned = plan(uki(), alice.certificate, (), MOMENT)
    signature = alice.sign(planned.attributes)
    with pytest.raises(Refused) as refused:
        assemble(uki(initrd=b"\x1f\x8bother"), planned, signature)
    assert rules(refused) == ["SIG-DIGEST"]
    cms = assemble(uki(), planned, signature).cms
    with pytest.raises(Refused) as refused:
        attach(uki(initrd=b"\x1f\x8bother"), cms)
    assert rules(refused) == ["SIG-DIGEST"]


@refuses("SIG-TIME")
@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 22, 3, 4, 5),  # noqa: DTZ001 - without a zone is the point
        MOMENT.astimezone(timezone(timedelta(hours=1))),
        MOMENT.replace(microsecond=1),
        datetime(2050, 1, 1, tzinfo=UTC),
        datetime(1949, 12, 31, tzinfo=UTC),
    ],
)
def test_a_time_that_cannot_be_signed_is_refused(alice: Signer, moment: datetime) -> None:
    with pytest.raises(Refused) as refused:
        plan(uki(), alice.certificate, (), moment)
    assert rules(refused) == ["SIG-TIME"]


@accepts("SIG-TIME")
@pytest.mark.parametrize("year", [1950, 1970, 1999, 2000, 2049])
def test_every_year_of_utctime_is_signed(alice: Signer, year: int) -> None:
    moment = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    planned = plan(uki(), alice.certificate, (), moment)
    assert read_plan_attributes(planned.attributes).signing_time == moment


@refuses("SIG-KEY")
def test_a_key_that_firmware_would_not_boot_is_refused() -> None:
    for other in (signer(bits=1024), signer(curve=ec.SECP256R1())):
        with pytest.raises(Refused) as refused:
            plan(uki(), other.certificate, (), MOMENT)
        assert rules(refused) == ["SIG-KEY"]


@accepts("SIG-KEY")
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_ecdsa_has_a_function_of_its_own(curve: ec.EllipticCurve) -> None:
    carol = signer("carol", curve=curve)
    planned = plan_ecdsa(uki(), carol.certificate, (), MOMENT)
    signed = joined(uki(), planned, carol.sign(planned.attributes))
    assert verify(signed, carol.certificate) == ()


@refuses("SIG-KEY")
def test_ecdsa_takes_no_other_key(alice: Signer) -> None:
    for other in (alice, signer(curve=ec.SECP521R1())):
        with pytest.raises(Refused) as refused:
            plan_ecdsa(uki(), other.certificate, (), MOMENT)
        assert rules(refused) == ["SIG-KEY"]


@refuses("SIG-CERTIFICATE")
def test_a_certificate_that_is_none_is_refused(alice: Signer) -> None:
    good = alice.certificate
    for bad in (b"", b"\x30\0", good[:-1], good + b"\0", good * 50, b"\x30\x80" + good[2:]):
        for certificate, chain in ((bad, ()), (good, (bad,))):
            with pytest.raises(Refused) as refused:
                plan(uki(), certificate, chain, MOMENT)
            assert rules(refused) == ["SIG-CERTIFICATE"]
    with pytest.raises(Refused) as refused:
        plan(uki(), good, (good,) * 9, MOMENT)
    assert rules(refused) == ["SIG-CERTIFICATE"]


@refuses("SIG-ATTRIBUTES")
def test_attributes_of_another_form_are_refused(alice: Signer) -> None:
    attributes = plan(uki(), alice.certificate, (), MOMENT).attributes
    said = read_attributes(attributes)
    assert encode_attributes(said) == attributes
    for bad in (
        b"",
        attributes[:-1],
        attributes + b"\0",
        b"\x30" + attributes[1:],
        attributes[:-1] + b"\x29",
        attributes.replace(b"\x17\x0d26", b"\x17\x0d2x"),
        b"\x31\x81\x80" + attributes[3:131],
    ):
        with pytest.raises(Refused):
            read_plan_attributes(bad)


def test_a_plan_refuses_an_image_with_all_its_faults(alice: Signer) -> None:
    image = bytearray(uki())
    image[0x98 + 68] = 2
    image[0x98 + 36] = 0
    image[0x98 + 37] = 0
    with pytest.raises(Refused) as refused:
        plan(bytes(image), alice.certificate, (), MOMENT)
    assert rules(refused) == ["PE-SUBSYSTEM", "PE-FILE-ALIGNMENT"]


def test_a_plan_refuses_an_image_whose_signature_is_not_its_own(
    alice: Signer, signed: bytes
) -> None:
    image = bytearray(signed)
    image[1024] ^= 1
    with pytest.raises(Refused) as refused:
        plan(bytes(image), alice.certificate, (), MOMENT)
    assert rules(refused) == ["SIG-DIGEST"]


@refuses("SIG-DER")
def test_a_name_without_an_object_identifier_is_refused(
    alice: Signer, bob: Signer, signed: bytes
) -> None:
    """OpenSSL drops a whole signature for it: sbverify then knows neither of the two."""
    common_name, other = bytes.fromhex("0603550403"), bytes.fromhex("0603550453")
    plan(signed.replace(common_name, other), bob.certificate, (), MOMENT)
    with pytest.raises(Refused) as refused:
        plan(signed.replace(common_name, bytes.fromhex("06035504f6")), bob.certificate, (), MOMENT)
    assert "SIG-DER" in rules(refused)


@refuses("PE-CERT-COUNT")
def test_a_seventeenth_signature_is_refused(alice: Signer) -> None:
    image = pe_image((Part(".text", RETURN["x86_64"], CODE),))
    for _ in range(16):
        planned = plan(image, alice.certificate, (), MOMENT)
        image = joined(image, planned, alice.sign(planned.attributes))
    assert verify(image, alice.certificate) == ()
    planned = plan(image, alice.certificate, (), MOMENT)
    with pytest.raises(Refused) as refused:
        assemble(image, planned, alice.sign(planned.attributes))
    assert rules(refused) == ["PE-CERT-COUNT"]


@refuses("PE-CERT-SIZE")
def test_certificates_that_fill_an_entry_are_refused(alice: Signer) -> None:
    long = signer("a" * 60, bits=2048, padding_bytes=12000).certificate
    planned = plan(uki(), alice.certificate, (long,) * 6, MOMENT)
    with pytest.raises(Refused) as refused:
        assemble(uki(), planned, alice.sign(planned.attributes))
    assert rules(refused) == ["PE-CERT-SIZE"]


@refuses("PE-TOO-LARGE")
def test_no_table_is_put_above_four_gigabytes(alice: Signer, signed: bytes) -> None:
    image = uki()
    reading = read_layout(image, 0xFFFF_0001)
    assert (reading.layout, [f.rule for f in reading.findings]) == (None, ["PE-TOO-LARGE"])
    layout = read_layout(image, 0xFFFF_0000).layout
    assert layout is not None
    assert tail(layout, b"0123").size == 0xFFFF_0010
    with pytest.raises(Refused) as refused:
        tail(replace(layout, size=0xFFFF_0001), b"0123")
    assert rules(refused) == ["PE-TOO-LARGE"]


@refuses("SIG-CERTIFICATE")
def test_a_serial_number_that_is_not_positive_is_refused(alice: Signer) -> None:
    at = alice.certificate.index(bytes.fromhex("0206202611220304"))
    for serial in ("0206802611220304", "02010004032611"):
        octets = bytes.fromhex(serial)
        bad = alice.certificate[:at] + octets + alice.certificate[at + len(octets) :]
        with pytest.raises(Refused) as refused:
            plan(uki(), bad, (), MOMENT)
        assert rules(refused) == ["SIG-CERTIFICATE"]


@refuses("SIG-KEY")
def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        plan(uki(), ed25519_certificate(), (), MOMENT)
    assert rules(refused) == ["SIG-KEY"]


def test_a_plain_digest_is_never_signed(alice: Signer) -> None:
    with pytest.raises(TypeError):
        plan_for(file_sha256(uki()), alice.certificate, (), MOMENT)


def test_an_image_of_empty_sections_is_signed(alice: Signer) -> None:
    image = bytearray(pe_image((Part(".text", b"", CODE),), overlay=b"overlay"))
    image[0x188 + 8] = 1  # VirtualSize: the entry point needs a byte to lie in
    planned = plan(bytes(image), alice.certificate, (), MOMENT)
    signed = joined(bytes(image), planned, alice.sign(planned.attributes))
    assert verify(signed, alice.certificate) == ()
