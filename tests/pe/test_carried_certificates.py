"""What a certificate behind the signer's may be: what OpenSSL reads a signature with, no more.

sbverify and firmware read a whole signature, and every one behind it, with OpenSSL.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest
from cryptography.hazmat import asn1
from marks import accepts, refuses
from pe.entry_changes import entry_changed
from pe.images import Signer
from sbsigntools.odd_cms import children, seq, set_of, tlv

from ceremony.pe.cms import ContentInfo
from ceremony.pe.entries import entry_findings
from ceremony.pe.sweep import sweep
from ceremony.pe.trust import chain_findings

SERIAL, SUBJECT = 1, 5  # places in a TBSCertificate of version 3
COMMON_NAME, POSTAL_ADDRESS = (bytes.fromhex(f"06035504{last}") for last in ("03", "10"))
PRINTABLE, SEQUENCE, UNIVERSAL, BMP = 0x13, 0x30, 0x1C, 0x1E

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
