"""sbverify: good means that the signature reaches a certificate that was given."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from marks import accepts, refuses
from pe.images import MOMENT, PrivateKey, Signer, pe_image, pem, uki, uki_parts
from sbsigntools.desk import Desk, is_refusal

from ceremony.pe.sign import assemble, plan

FAILED = "Signature verification failed\n"
OK = "Signature verification OK\n"


def issue(
    name: str, by: Signer | None, key: PrivateKey, serial: int = 1, *, ca: bool = True
) -> Signer:
    """Make a certificate of `key`; without `ca` it has no basicConstraints."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above = x509.load_der_x509_certificate(by.certificate).subject if by else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .serial_number(serial)
        .not_valid_before(MOMENT - timedelta(days=2))
        .not_valid_after(MOMENT - timedelta(days=1))  # expired: firmware does not ask
        .public_key(key.public_key())
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    made = builder.sign(by.key if by else key, hashes.SHA256())
    return Signer(key, made.public_bytes(Encoding.DER))


@dataclass(frozen=True)
class Family:
    """root issued middle, middle issued leaf; leaf, no authority, issued child."""

    root: Signer
    middle: Signer
    leaf: Signer
    child: Signer


@pytest.fixture(scope="session")
def family() -> Family:
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
    root = issue("root", None, ec.generate_private_key(ec.SECP256R1()))
    middle = issue("middle", root, ec.generate_private_key(ec.SECP256R1()))
    leaf = issue("leaf", middle, keys[0], ca=False)
    return Family(root, middle, leaf, issue("child", leaf, keys[1], 2, ca=False))


def sign(desk: Desk, by: Signer, *chain: Signer, image: bytes | None = None) -> bytes:
    content = image or desk.image.read_bytes()
    planned = plan(content, by.certificate, tuple(c.certificate for c in chain), MOMENT)
    made = assemble(content, planned, by.sign(planned.attributes))
    desk.signed.write_bytes(b"".join(made.pieces()))
    desk.path("detached.pk7").write_bytes(made.cms)
    return desk.signed.read_bytes()


def said(desk: Desk, *given: Signer) -> tuple[int, str]:
    desk.path("trusted.pem").write_text("".join(pem(each.certificate) for each in given))
    done = desk.run("sbverify", "--cert", "trusted.pem", "signed.efi")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


@accepts("SIG-CHAIN")
def test_signer_and_every_issuer_that_can_be_reached_may_be_given(
    desk: Desk, family: Family
) -> None:
    sign(desk, family.leaf)
    assert said(desk, family.leaf) == (0, OK)
    assert said(desk, family.middle) == (0, OK)
    sign(desk, family.leaf, family.middle)
    assert said(desk, family.root) == (0, OK)
    assert said(desk, family.child, family.root) == (0, OK)


@refuses("SIG-CHAIN")
def test_what_cannot_be_reached_is_not_trusted(desk: Desk, family: Family) -> None:
    sign(desk, family.leaf)
    assert said(desk, family.root) == (1, FAILED)  # nobody carries the middle one
    sign(desk, family.leaf, family.middle, family.root)
    assert said(desk, desk.bob) == (1, FAILED)


@refuses("SIG-CHAIN")
def test_an_embedded_intermediate_against_an_unrelated_certificate(
    desk: Desk, family: Family
) -> None:
    # sbverify 0.9.4 says OK here: it waves a missing issuer through.
    sign(desk, family.leaf, family.middle)
    assert said(desk, desk.alice) == (1, FAILED)


@refuses("SIG-CHAIN")
def test_a_leaf_is_no_authority(desk: Desk, family: Family) -> None:
    sign(desk, family.child, family.leaf, family.middle)
    assert said(desk, family.root) == (1, FAILED)
    assert said(desk, family.leaf) == (1, FAILED)


@refuses("SIG-CHAIN")
def test_a_namesake_of_the_authority_is_not_the_authority(desk: Desk, family: Family) -> None:
    other = issue("middle", None, ec.generate_private_key(ec.SECP256R1()))
    sign(desk, family.leaf, other)
    assert said(desk, other) == (1, FAILED)


def test_no_certificate_given_verifies_nothing(desk: Desk) -> None:
    sign(desk, desk.alice)
    done = desk.run("sbverify", "signed.efi")
    assert (done.returncode, done.stdout) == (1, FAILED)


def test_one_good_signature_of_two_is_enough(desk: Desk) -> None:
    sign(desk, desk.alice, image=sign(desk, desk.bob))
    assert said(desk, desk.alice) == (0, OK)
    assert said(desk, desk.bob) == (0, OK)


def test_a_flipped_byte_of_the_image_or_the_signature(desk: Desk) -> None:
    content = sign(desk, desk.alice)
    for at in (0x400, len(content) // 2, len(content) - 200):
        broken = bytearray(content)
        broken[at] ^= 1
        desk.signed.write_bytes(broken)
        assert said(desk, desk.alice) == (1, FAILED)


def test_a_broken_layout_is_a_refusal(desk: Desk) -> None:
    desk.signed.write_bytes(sign(desk, desk.alice) + bytes(8))
    done = desk.run("sbverify", "--cert", "alice.pem", "signed.efi")
    assert is_refusal(done, "PE-CERTDIR-END")


def test_a_detached_signature_of_an_image_of_odd_size(desk: Desk) -> None:
    desk.image.write_bytes(pe_image(uki_parts(), overlay=b"odd"))
    sign(desk, desk.alice)
    words = ("sbverify", "--cert", "alice.pem", "--detached", "detached.pk7")
    assert desk.run(*words, "image.efi").stdout == OK
    desk.image.write_bytes(pe_image(uki_parts(), overlay=b"eve"))
    assert desk.run(*words, "image.efi").stdout == FAILED


def test_list_tells_names_and_says_when_there_is_none(desk: Desk, family: Family) -> None:
    sign(desk, family.leaf, family.middle)
    done = desk.run("sbverify", "--list", "signed.efi")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "signature 1",
        "image signature issuers:",
        " - /CN=middle",
        "image signature certificates:",
        " - subject: /CN=leaf",
        "   issuer:  /CN=middle",
        " - subject: /CN=middle",
        "   issuer:  /CN=root",
    ]
    done = desk.run("sbverify", "--verbose", "--cert", "alice.pem", "signed.efi")
    assert done.stdout.endswith(f"   issuer:  /CN=root\nPKCS7 verification failed\n{FAILED}")
    done = desk.run("sbverify", "--list", "image.efi")
    assert (done.returncode, done.stderr) == (0, "No signature table present\n")
    done = desk.run("sbverify", "--cert", "alice.pem", "image.efi")
    assert (done.returncode, done.stdout) == (1, FAILED)


def test_certificates_may_come_through_a_pipe(desk: Desk) -> None:
    sign(desk, desk.alice)
    script = 'exec "$0" -I -m tui sbverify --cert <(cat bob.pem alice.pem) signed.efi'
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    done = subprocess.run(
        [bash, "-c", script, sys.executable],
        cwd=desk.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, OK), done.stderr


def dbx(*certificates: bytes, digests: tuple[bytes, ...] = ()) -> bytes:
    """Write signature lists: UEFI 2.10, 32.4.1."""
    x509_guid = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
    sha256_guid = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328").bytes_le
    made = b""
    for guid, each in [(x509_guid, c) for c in certificates] + [(sha256_guid, d) for d in digests]:
        made += guid + struct.pack("<III", 28 + 16 + len(each), 0, 16 + len(each))
        made += bytes(16) + each
    return made


@accepts("SIG-REVOKED", "SIG-DBX")
def test_a_dbx_about_others_changes_nothing(desk: Desk) -> None:
    desk.path("dbx").write_bytes(dbx(desk.bob.certificate, digests=(bytes(32),)))
    sign(desk, desk.alice)
    done = desk.run("sbverify", "--cert", "alice.pem", "--dbx", "dbx", "signed.efi")
    assert (done.returncode, done.stdout) == (0, OK)
    assert desk.sbsign("--dbx", "dbx", "--output", "again.efi", "image.efi").returncode == 0


@refuses("SIG-REVOKED")
def test_one_revoked_signature_spoils_a_good_one(desk: Desk) -> None:
    # Firmware refuses such an image whatever else signed it: tests/boot shows it.
    desk.path("dbx").write_bytes(dbx(desk.bob.certificate))
    desk.image.write_bytes(sign(desk, desk.bob))
    sign(desk, desk.alice)
    done = desk.run("sbverify", "--cert", "alice.pem", "--dbx", "dbx", "signed.efi")
    assert is_refusal(done, "SIG-REVOKED")
    assert done.stdout == FAILED
    done = desk.sbsign("--dbx", "dbx", "--output", "again.efi", "image.efi")
    assert is_refusal(done, "SIG-REVOKED")
    assert not desk.path("again.efi").exists()


@refuses("SIG-REVOKED", "SIG-DBX")
def test_a_revoked_image_and_a_revoked_signer_are_not_signed(desk: Desk) -> None:
    digest = plan(uki(), desk.alice.certificate, (), MOMENT).authenticode.value
    for content in (dbx(digests=(digest,)), dbx(desk.alice.certificate)):
        desk.path("dbx").write_bytes(content)
        done = desk.sbsign("--dbx", "dbx", "--output", "signed.efi", "image.efi")
        assert is_refusal(done, "SIG-REVOKED")
        assert not desk.signed.exists()
    desk.path("dbx").write_bytes(b"no dbx")
    assert is_refusal(desk.sbsign("--dbx", "dbx", "image.efi"), "SIG-DBX")


def test_it_agrees_with_the_real_sbverify_on_its_own_signature(desk: Desk) -> None:
    theirs: Path = desk.theirs("image.efi")
    done = desk.run("sbverify", "--cert", "alice.pem", theirs)
    assert (done.returncode, done.stdout) == (0, OK)
