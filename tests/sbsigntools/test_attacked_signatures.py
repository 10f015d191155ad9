"""What a review found in signatures and chains; each test is named by its defect."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import uuid
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from marks import accepts, refuses
from pe.images import MOMENT, PrivateKey, Signer, pem, uki
from sbsigntools.desk import Desk, is_refusal
from sbsigntools.odd_cms import EXPLICIT_1, NULL, Odd, attached, certificate, odd_cms, tlv

from ceremony.pe.sign import assemble, plan

OK, FAILED = "Signature verification OK\n", "Signature verification failed\n"
Extension = tuple[x509.ExtensionType, bool]


def issue(name: str, by: Signer | None, key: PrivateKey, *extensions: Extension) -> Signer:
    """Make a certificate of `key` with these extensions, each critical or not."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above = x509.load_der_x509_certificate(by.certificate).subject if by else subject
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(above)
    builder = builder.serial_number(x509.random_serial_number()).public_key(key.public_key())
    builder = builder.not_valid_before(MOMENT).not_valid_after(MOMENT + timedelta(days=9))
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    made = builder.sign(by.key if by else key, hashes.SHA256())
    return Signer(key, made.public_bytes(Encoding.DER))


def authority(name: str, by: Signer | None, *more: Extension, length: int | None = None) -> Signer:
    constraint = (x509.BasicConstraints(ca=True, path_length=length), True)
    return issue(name, by, ec.generate_private_key(ec.SECP256R1()), constraint, *more)


@pytest.fixture(scope="session")
def leaf_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(desk: Desk, by: Signer, *chain: Signer) -> None:
    planned = plan(uki(), by.certificate, tuple(c.certificate for c in chain), MOMENT)
    made = assemble(uki(), planned, by.sign(planned.attributes))
    desk.signed.write_bytes(b"".join(made.pieces()))


def verdict(desk: Desk, given: Signer, *words: str) -> str:
    desk.path("given.pem").write_text(pem(given.certificate))
    done = desk.run("sbverify", "--cert", "given.pem", *words, "signed.efi")
    assert "BUG" not in done.stderr
    assert done.returncode == (0 if done.stdout == OK else 1), done.stderr
    return done.stdout


def openssl_agrees(desk: Desk, given: Signer, leaf: Signer, *carried: Signer) -> bool:
    """Ask openssl, with the flags that EDK2 sets, about the same chain."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    for name, certificates in (("a", (given,)), ("l", (leaf,)), ("u", carried)):
        desk.path(f"{name}.pem").write_text("".join(pem(c.certificate) for c in certificates))
    words = [openssl, "verify", "-partial_chain", "-no_check_time", "-purpose", "any"]
    words += ["-CAfile", "a.pem", *(["-untrusted", "u.pem"] if carried else []), "l.pem"]
    done = subprocess.run(words, cwd=desk.folder, capture_output=True, check=False)
    return done.returncode == 0


@accepts("SIG-CHAIN")
@pytest.mark.parametrize("length", [0, 1, None])
def test_a_path_as_long_as_is_allowed(length: int | None, desk: Desk, leaf_key: PrivateKey) -> None:
    root = authority("root", None)
    middle = authority("middle", root, length=length)
    leaf = issue("leaf", middle, leaf_key)
    signed(desk, leaf, middle)
    assert openssl_agrees(desk, root, leaf, middle)
    assert verdict(desk, root) == OK


@refuses("SIG-CHAIN")
def test_an_authority_below_one_that_may_have_none(desk: Desk, leaf_key: PrivateKey) -> None:
    root = authority("root", None)
    middle = authority("middle", root, length=0)
    rogue = authority("rogue", middle)
    leaf = issue("leaf", rogue, leaf_key)
    signed(desk, leaf, rogue, middle)
    assert not openssl_agrees(desk, root, leaf, rogue, middle)
    assert verdict(desk, root) == FAILED


@refuses("SIG-CHAIN")
@pytest.mark.parametrize("where", ["leaf", "middle", "root"])
def test_a_critical_extension_that_nobody_knows(
    where: str, desk: Desk, leaf_key: PrivateKey
) -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.7"), NULL)
    more: dict[str, list[Extension]] = {"leaf": [], "middle": [], "root": []}
    more[where].append((odd, True))
    root = authority("root", None, *more["root"])
    middle = authority("middle", root, *more["middle"])
    leaf = issue("leaf", middle, leaf_key, *more["leaf"])
    signed(desk, leaf, middle)
    assert not openssl_agrees(desk, root, leaf, middle)
    assert verdict(desk, root) == FAILED


@accepts("SIG-CHAIN")
def test_the_netscape_certificate_type_of_debians_authority(
    desk: Desk, leaf_key: PrivateKey
) -> None:
    kinds = x509.ObjectIdentifier("2.16.840.1.113730.1.1")
    every = x509.UnrecognizedExtension(kinds, bytes.fromhex("030200f7"))
    root = authority("root", None, (every, True))
    leaf = issue("leaf", root, leaf_key)
    signed(desk, leaf)
    assert openssl_agrees(desk, root, leaf)
    assert verdict(desk, root) == OK


@refuses("SIG-CHAIN")
def test_an_authority_with_another_key_than_the_leaf_names(
    desk: Desk, leaf_key: PrivateKey
) -> None:
    other = x509.SubjectKeyIdentifier(b"other")
    root = authority("root", None, (other, False))
    wanted = x509.AuthorityKeyIdentifier(b"this", None, None)
    leaf = issue("leaf", root, leaf_key, (wanted, False))
    signed(desk, leaf)
    assert not openssl_agrees(desk, root, leaf)
    assert verdict(desk, root) == FAILED


@refuses("SIG-CHAIN")
def test_names_that_an_authority_may_not_give_are_not_judged_but_refused(
    desk: Desk, leaf_key: PrivateKey
) -> None:
    only = x509.NameConstraints([x509.DNSName("example.org")], None)
    root = authority("root", None, (only, False))
    signed(desk, issue("leaf", root, leaf_key))
    assert verdict(desk, root) == FAILED


def dbx(kind: str, *contents: bytes) -> bytes:
    guid = uuid.UUID(kind).bytes_le
    return b"".join(
        guid + struct.pack("<III", 44 + len(c), 0, 16 + len(c)) + bytes(16) + c for c in contents
    )


X509, X509_SHA256 = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072", "3bd2a492-96c0-4079-b420-fcf98ef103ed"


def tbs_hash(der: bytes) -> bytes:
    tbs = x509.load_der_x509_certificate(der).tbs_certificate_bytes
    return hashlib.sha256(tbs).digest() + bytes(16)


@refuses("SIG-REVOKED")
def test_a_trusted_certificate_that_dbx_names_by_its_hash(desk: Desk, leaf_key: PrivateKey) -> None:
    root = authority("root", None)
    leaf = issue("leaf", root, leaf_key)
    signed(desk, leaf)  # the root is not carried
    assert verdict(desk, root) == OK
    desk.path("dbx").write_bytes(dbx(X509_SHA256, tbs_hash(root.certificate)))
    assert verdict(desk, root, "--dbx", "dbx") == FAILED
    above = authority("above", None)
    middle = authority("middle", above)
    signed(desk, issue("leaf", middle, leaf_key))
    desk.path("dbx").write_bytes(dbx(X509, above.certificate))
    assert verdict(desk, middle, "--dbx", "dbx") == FAILED


@refuses("SIG-REVOKED")
def test_a_signature_without_a_signer_beside_a_good_one(desk: Desk) -> None:
    signed(desk, desk.alice)
    nobody = odd_cms(uki(), desk.alice, Odd(no_signer=True))
    desk.signed.write_bytes(attached(desk.signed.read_bytes(), nobody))
    desk.path("dbx").write_bytes(dbx(X509, desk.bob.certificate))
    assert verdict(desk, desk.alice, "--dbx", "dbx") == FAILED
    done = desk.run("sbverify", "--list", "signed.efi")
    assert (done.returncode, "BUG" in done.stderr) == (0, False)


@refuses("SIG-REVOKED")
def test_an_embedded_revoked_signature_beside_a_detached_good_one(desk: Desk) -> None:
    signed(desk, desk.bob)
    planned = plan(uki(), desk.alice.certificate, (), MOMENT)
    made = assemble(uki(), planned, desk.alice.sign(planned.attributes))
    desk.path("alice.pk7").write_bytes(made.cms)
    assert verdict(desk, desk.alice, "--detached", "alice.pk7") == OK
    desk.path("dbx").write_bytes(dbx(X509, desk.bob.certificate))
    assert verdict(desk, desk.alice, "--detached", "alice.pk7", "--dbx", "dbx") == FAILED


def odd_image(desk: Desk, odd: Odd) -> None:
    desk.signed.write_bytes(attached(uki(), odd_cms(uki(), desk.alice, odd)))


def test_the_odd_maker_makes_good_ones_too(desk: Desk) -> None:
    odd_image(desk, Odd())
    assert verdict(desk, desk.alice) == OK


@refuses("SIG-CERTIFICATE")
@pytest.mark.parametrize("version", [1, 3, pytest.param(1 << 16000, id="huge")])
def test_a_certificate_of_an_impossible_version(version: int, desk: Desk) -> None:
    odd = certificate(desk.alice, version)
    odd_image(desk, Odd((odd,)))
    assert verdict(desk, desk.alice) == FAILED
    for words in (("sbverify", "--list", "signed.efi"), ("inspect", "signed.efi")):
        done = desk.run(*words)
        assert "BUG" not in done.stderr
    done = desk.sbsign("--output", "out.efi", "signed.efi")
    assert is_refusal(done, "SIG-CERTIFICATE")
    odd_image(desk, Odd((desk.alice.certificate, odd)))
    desk.path("dbx").write_bytes(dbx(X509, desk.bob.certificate))
    assert verdict(desk, desk.alice, "--dbx", "dbx") == FAILED


@refuses("SIG-KEY")
def test_a_certificate_whose_key_is_for_pss_only(desk: Desk) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    for words in (
        "genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.key",
        "req -x509 -new -key pss.key -subj /CN=pss -days 9 -out pss.pem",
    ):
        subprocess.run([openssl, *words.split()], cwd=desk.folder, check=True, capture_output=True)
    told = ("sbsign", "--key", "pss.key", "--cert", "pss.pem", "--output", "out.efi", "image.efi")
    assert is_refusal(desk.run(*told), "SIG-KEY")


@refuses("SIG-CMS")
@pytest.mark.parametrize(
    "odd", [Odd(revocations=tlv(EXPLICIT_1, NULL)), Odd(unsigned=tlv(EXPLICIT_1, NULL))]
)
def test_what_anybody_may_put_into_a_signature_is_not_passed_over(odd: Odd, desk: Desk) -> None:
    odd_image(desk, odd)
    assert verdict(desk, desk.alice) == FAILED
    assert is_refusal(desk.sbsign("--output", "out.efi", "signed.efi"), "SIG-CMS")


@refuses("SIG-OUTER")
def test_a_signature_that_firmware_passes_over_is_none(desk: Desk) -> None:
    odd_image(desk, Odd(version=256))
    done = desk.run("sbverify", "--cert", "alice.pem", "signed.efi")
    assert (done.returncode, done.stdout, "SIG-OUTER" in done.stderr) == (1, FAILED, True)
