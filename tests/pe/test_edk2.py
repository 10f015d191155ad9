"""Our model of EDK2 against files that sbsign and osslsigncode wrote."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from pe.edk2 import Boots, Database, Denied, firmware_verdict
from pe.images import MOMENT, Signer, pe_image, signer, uki, uki_parts
from pe.signing_tools import Tools

NOTHING = Database()
GOOD, BY_DIGEST = Boots("signer in db"), Boots("digest in db")
UNKNOWN = Denied("no signature by one in db")


def by(*signers: Signer) -> Database:
    return Database(certificates=tuple(s.certificate for s in signers))


def authenticode(image: bytes) -> bytes:
    """Hash a contiguous image without a table, the simplest way that is right for it."""
    (lfanew,) = struct.unpack_from("<I", image, 0x3C)
    at = lfanew + 24
    (magic,) = struct.unpack_from("<H", image, at)
    directory = at + (144 if magic == 0x20B else 128)
    kept = image[: at + 64] + image[at + 68 : directory] + image[directory + 8 :]
    return hashlib.sha256(kept).digest()


def test_an_unsigned_image_boots_by_its_digest_only() -> None:
    image = uki()
    digest = authenticode(image)
    assert firmware_verdict(image, NOTHING, NOTHING) == Denied("unsigned, digest not in db")
    listed = Database(digests=frozenset({digest}))
    assert firmware_verdict(image, listed, NOTHING) == BY_DIGEST
    assert firmware_verdict(image, listed, listed) == Denied("digest in dbx")
    flipped = bytearray(image)
    flipped[2048] ^= 1
    assert isinstance(firmware_verdict(bytes(flipped), listed, NOTHING), Denied)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "i386", "arm"])
def test_what_sbsign_signs_boots_under_its_certificate_only(
    machine: str, tools: Tools, alice: Signer, bob: Signer
) -> None:
    signed = tools.sbsign(pe_image(uki_parts(machine), machine, overlay=b"odd"), alice)
    assert firmware_verdict(signed, by(bob, alice), NOTHING) == GOOD
    assert firmware_verdict(signed, by(bob), NOTHING) == UNKNOWN
    for at in (1024, len(signed) - 1400, len(signed) - 40, 0x98 + 16):
        flipped = bytearray(signed)
        flipped[at] ^= 1
        assert isinstance(firmware_verdict(bytes(flipped), by(alice), NOTHING), Denied), at
    flipped = bytearray(signed)
    flipped[0xD8] ^= 1  # CheckSum: firmware does not look at it
    assert firmware_verdict(bytes(flipped), by(alice), NOTHING) == GOOD


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_what_osslsigncode_signs_boots(algorithm: str, tools: Tools, alice: Signer) -> None:
    signed = tools.osslsigncode(uki(), alice, algorithm)
    assert firmware_verdict(signed, by(alice), NOTHING) == GOOD
    assert firmware_verdict(signed, NOTHING, NOTHING) == UNKNOWN


def test_one_good_signature_suffices_and_one_revoked_refuses(
    tools: Tools, alice: Signer, bob: Signer
) -> None:
    for one, other in ((alice, bob), (bob, alice)):
        twice = tools.sbsign(tools.sbsign(uki(), one), other)
        assert firmware_verdict(twice, by(alice), NOTHING) == GOOD
        assert firmware_verdict(twice, by(alice), by(bob)) == Denied("signer in dbx")
        listed = Database(digests=frozenset({authenticode(uki())}))
        assert firmware_verdict(twice, by(alice), listed) == Denied("digest in dbx")
        assert firmware_verdict(twice, listed, NOTHING) == BY_DIGEST
        loaded = x509.load_der_x509_certificate(bob.certificate)
        tbs = Database(
            tbs_sha256=frozenset({hashlib.sha256(loaded.tbs_certificate_bytes).digest()})
        )
        assert firmware_verdict(twice, by(alice), tbs) == Denied("signer in dbx")


def test_an_ecdsa_signature_does_not_boot(tools: Tools) -> None:
    carol = signer("carol", curve=ec.SECP256R1())
    assert firmware_verdict(tools.sbsign(uki(), carol), by(carol), NOTHING) == UNKNOWN


def issued(name: str, above: Signer | None, above_name: str, *, ca: bool) -> Signer:
    """Make a certificate of a key that `above`, or the key itself, signs."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject, issuer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, above_name)
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(MOMENT - timedelta(days=9000))
        .not_valid_after(MOMENT - timedelta(days=8000))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key if above is None else above.key, hashes.SHA256())
    )
    return Signer(key, certificate.public_bytes(serialization.Encoding.DER))


def test_any_certificate_of_the_chain_may_be_the_one_in_db(tools: Tools, alice: Signer) -> None:
    above = issued("root", None, "root", ca=True)
    between = issued("between", above, "root", ca=True)
    leaf = issued("leaf", between, "between", ca=False)
    whole = tools.sbsign(uki(), leaf, between.certificate)
    for trusted in (leaf, between, above):
        assert firmware_verdict(whole, by(trusted), NOTHING) == GOOD
        assert firmware_verdict(whole, by(leaf), by(trusted)) == Denied("signer in dbx")
    assert firmware_verdict(whole, by(alice), NOTHING) == UNKNOWN
    bare = tools.sbsign(uki(), leaf)
    assert firmware_verdict(bare, by(between), NOTHING) == GOOD
    # The root cannot be reached without what is between.
    assert firmware_verdict(bare, by(above), NOTHING) == UNKNOWN


def test_a_certificate_that_is_no_authority_issues_nothing(tools: Tools) -> None:
    above = issued("root", None, "root", ca=True)
    between = issued("between", above, "root", ca=False)
    leaf = issued("leaf", between, "between", ca=False)
    signed = tools.sbsign(uki(), leaf, between.certificate)
    assert firmware_verdict(signed, by(between), NOTHING) == UNKNOWN
    assert firmware_verdict(signed, by(above), NOTHING) == UNKNOWN


def test_dates_are_not_looked_at(tools: Tools) -> None:
    past = issued("past", None, "past", ca=False)
    assert x509.load_der_x509_certificate(past.certificate).not_valid_after_utc < MOMENT
    assert firmware_verdict(tools.sbsign(uki(), past), by(past), NOTHING) == GOOD


def with_table(image: bytes, table: bytes) -> bytes:
    whole = bytearray(image + table)
    struct.pack_into("<II", whole, 0x128, len(image), len(table))
    return bytes(whole)


PKCS7 = bytes.fromhex("9dd2af4adf68ee498aa9347d375665a7")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda e: e, GOOD),
        # WIN_CERTIFICATE_UEFI_GUID of EFI_CERT_TYPE_PKCS7_GUID.
        (lambda e: struct.pack("<IHH", len(e) + 16, 0x200, 0xEF1) + PKCS7 + e[8:], GOOD),
        (lambda e: struct.pack("<IHH", len(e) + 16, 0x200, 0xEF1) + bytes(16) + e[8:], UNKNOWN),
        (lambda e: bytes.fromhex("10000000000201000011223344556677") + e, GOOD),
        # The length is rounded up, as systemd-sbsign and osslsigncode write it.
        (lambda e: struct.pack("<I", len(e) + -len(e) % 8) + e[4:], GOOD),
        (lambda e: struct.pack("<I", 0) + e[4:], Denied("the certificate table is corrupted")),
        (lambda e: e + bytes(16), Denied("the certificate table is corrupted")),
        # Three length bytes: not where the digest algorithm is looked for.
        (lambda e: e[:8] + b"\x30\x83\0" + e[10:], UNKNOWN),
        # A SignedData without its ContentInfo.
        (lambda e: struct.pack("<I", len(e) - 19) + e[4:8] + e[27:], UNKNOWN),
    ],
)
def test_the_table_is_read_as_firmware_reads_it(
    change: Callable[[bytes], bytes],
    verdict: Boots | Denied,
    tools: Tools,
    alice: Signer,
) -> None:
    signed = tools.sbsign(uki(), alice)
    (length,) = struct.unpack_from("<I", signed, len(uki()))
    entry = change(signed[len(uki()) : len(uki()) + length])
    entry += bytes(-len(entry) % 8)
    assert firmware_verdict(with_table(uki(), entry), by(alice), NOTHING) == verdict


def test_the_models_work_is_bounded(alice: Signer) -> None:
    image = uki()
    short = struct.pack("<IHH", 8, 0x200, 1) * 200000
    assert firmware_verdict(with_table(image, short), by(alice), NOTHING) == Denied(
        "the model reads no more entries"
    )
    zeros = with_table(image, bytes(1 << 20))
    assert isinstance(firmware_verdict(zeros, by(alice), NOTHING), Denied)
