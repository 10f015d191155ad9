"""What a certificate behind the signer's may be: what OpenSSL reads a signature with, no more.

sbverify and firmware read a whole signature, and every one behind it, with OpenSSL.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from marks import accepts, refuses
from pe.entry_changes import entry_changed
from pe.images import Signer, builder_for
from sbsigntools.odd_cms import children, seq, set_of, tlv

from ceremony.pe.certificate import read_certificate
from ceremony.pe.cms import ContentInfo
from ceremony.pe.entries import entry_findings
from ceremony.pe.issuing import key_issued
from ceremony.pe.oneline import oneline
from ceremony.pe.sweep import sweep
from ceremony.pe.trust import chain_findings, chain_to

SERIAL, ISSUER, SUBJECT = 1, 3, 5  # places in a TBSCertificate of version 3
COMMON_NAME, POSTAL_ADDRESS = (bytes.fromhex(f"06035504{last}") for last in ("03", "10"))
BITS, PRINTABLE, TELETEX, SEQUENCE, UNIVERSAL, BMP = 0x03, 0x13, 0x14, 0x30, 0x1C, 0x1E

READ = {
    "serial-0": (SERIAL, tlv(0x02, b"\x00")),
    "serial-negative": (SERIAL, tlv(0x02, b"\x80")),
    "postal-address": (SUBJECT, (POSTAL_ADDRESS, SEQUENCE, tlv(PRINTABLE, b"Way 1"))),
    "bmp-next-to-surrogates": (SUBJECT, (COMMON_NAME, BMP, bytes.fromhex("d7ffe000"))),
    "universal-last": (SUBJECT, (COMMON_NAME, UNIVERSAL, bytes.fromhex("0010ffff"))),
}
UNREAD = {
    "bmp-surrogate": (SUBJECT, (COMMON_NAME, BMP, bytes.fromhex("d800"))),
    "bmp-surrogate-pair": (SUBJECT, (COMMON_NAME, BMP, bytes.fromhex("d83dde00"))),
    "universal-surrogate": (SUBJECT, (COMMON_NAME, UNIVERSAL, bytes.fromhex("0000dfff"))),
    "universal-past-the-last": (SUBJECT, (COMMON_NAME, UNIVERSAL, bytes.fromhex("00110000"))),
}
# OpenSSL reads these names; the library that verifies the links does not.
UNTOLD = {
    "postal-address": (POSTAL_ADDRESS, SEQUENCE, tlv(PRINTABLE, b"Way 1")),
    "teletex-umlaut": (COMMON_NAME, TELETEX, b"M\xfcnchen"),
    "bit-string": (COMMON_NAME, BITS, b"\x00name"),
}
Change = tuple[int, "bytes | tuple[bytes, int, bytes]"]


def carrying(signed: bytes, behind: bytes, change: Change) -> bytes:
    """Return the signed image with a changed certificate behind the signer's."""
    place, part = change
    if isinstance(part, tuple):
        kind, tag, value = part
        part = seq(set_of(seq(kind, tlv(tag, value))))
    tbs, *rest = children(behind)
    parts = children(tbs)
    parts[place] = part
    changed = asn1.decode_der(asn1.TLV, seq(seq(*parts), *rest))

    def added(read: ContentInfo) -> None:
        assert read.content.certificates is not None
        read.content.certificates = [*read.content.certificates, changed]

    return entry_changed(signed, added)


def openssl_reads(pkcs7: bytes) -> bool:
    """Say whether OpenSSL reads the signature."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("openssl is not installed")
    command = [tool, "pkcs7", "-inform", "DER", "-noout"]
    return subprocess.run(command, input=pkcs7, capture_output=True, check=False).returncode == 0


@accepts("SIG-CERTIFICATE")
@pytest.mark.parametrize("change", READ.values(), ids=READ.keys())
def test_what_openssl_reads_is_no_fault(
    change: Change, alice: Signer, bob: Signer, signed: bytes
) -> None:
    image = sweep(carrying(signed, bob.certificate, change))
    (entry,) = image.entries
    assert entry_findings(entry, image.authenticode) == ()
    assert chain_findings(entry, (alice.certificate,))[1] == ()
    assert openssl_reads(entry.pkcs7)


@refuses("SIG-CERTIFICATE")
@pytest.mark.parametrize("change", UNREAD.values(), ids=UNREAD.keys())
def test_what_openssl_does_not_read_is_refused(change: Change, bob: Signer, signed: bytes) -> None:
    image = sweep(carrying(signed, bob.certificate, change))
    (entry,) = image.entries
    found = entry_findings(entry, image.authenticode)
    assert [f.rule for f in found] == ["SIG-CERTIFICATE"]
    assert not openssl_reads(entry.pkcs7)


def test_a_postal_address_is_listed_as_sbverify_lists_it() -> None:
    name = seq(set_of(seq(POSTAL_ADDRESS, tlv(SEQUENCE, tlv(PRINTABLE, b"Way 1")))))
    assert oneline(name) == r"/postalAddress=0\x07\x13\x05Way 1"  # seen of sbverify 0.9.4


def issued(of: Signer, name: bytes, by: Signer, issuer: bytes) -> bytes:
    """Return a certificate of an authority with these names, issued by the other's key."""
    built = builder_for("x").public_key(of.key.public_key())
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    made = built.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)
    tbs, algorithm, _ = children(made)
    parts = children(tbs)
    parts[SUBJECT], parts[ISSUER] = name, issuer
    return seq(seq(*parts), algorithm, tlv(BITS, b"\x00" + by.sign(seq(*parts))))


@pytest.mark.parametrize("part", UNTOLD.values(), ids=UNTOLD.keys())
def test_an_issuer_whose_name_the_library_cannot_read(
    part: tuple[bytes, int, bytes], alice: Signer, bob: Signer
) -> None:
    kind, tag, value = part
    odd = seq(set_of(seq(kind, tlv(tag, value))))
    plain = x509.Name.from_rfc4514_string("CN=plain").public_bytes()
    ders = issued(alice, odd, alice, odd), issued(alice, odd, bob, plain)
    above, crossed = map(read_certificate, ders)
    leaf = read_certificate(issued(bob, plain, alice, odd))
    other = read_certificate(bob.certificate)
    assert chain_to(leaf, (above, crossed), (other,)) == ()
    assert chain_to(leaf, (), (above,)) == (leaf, above)
    assert key_issued(above, leaf)
    assert not key_issued(other, leaf)
