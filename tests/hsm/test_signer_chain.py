"""What is embedded above the signer must have issued it, and no dbx may name any of it."""

from __future__ import annotations

import struct
import uuid
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from marks import accepts, refuses
from pe.images import MOMENT, PrivateKey, Signer, signer

from ceremony.signer_chain import judge_chain, judge_image
from ceremony.types import Digest, DigestKind

X509 = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072"
SHA256 = "c1c41626-504c-4092-aca9-41f936934328"
IMAGE = Digest(DigestKind.AUTHENTICODE_SHA256, bytes(range(32)))


def issued(by: Signer | None, name: str, *, ca: bool, days: int = 9000) -> Signer:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuing: PrivateKey = key
    if by is not None:
        issuing, issuer = by.key, x509.load_der_x509_certificate(by.certificate).subject
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), 0x2026_1122_0305)
        .not_valid_before(MOMENT - timedelta(days=900))
        .not_valid_after(MOMENT + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuing, hashes.SHA256())
    )
    return Signer(key, made.public_bytes(Encoding.DER))


def siglist(kind: str, told: bytes) -> bytes:
    head = struct.pack("<III", 28 + 16 + len(told), 0, 16 + len(told))
    return uuid.UUID(kind).bytes_le + head + bytes(16) + told


@pytest.fixture(scope="module")
def family() -> tuple[Signer, Signer, Signer]:
    root = issued(None, "root", ca=True)
    middle = issued(root, "middle", ca=True)
    return root, middle, issued(middle, "leaf", ca=False)


def judged(leaf: Signer, *chain: Signer, dbx: bytes = b"") -> list[tuple[str, str]]:
    found = judge_chain(leaf.certificate, tuple(c.certificate for c in chain), dbx, MOMENT)
    return [(f.rule, str(f.severity)) for f in found]


@accepts("KEY-CERT-CHAIN", "KEY-CERT-REVOKED")
def test_a_chain_that_leads_up_is_accepted(family: tuple[Signer, Signer, Signer]) -> None:
    root, middle, leaf = family
    stranger = siglist(X509, signer("stranger").certificate)
    for chain in ((), (middle,), (middle, root), (root, middle)):
        assert judged(leaf, *chain) == []
        assert judged(leaf, *chain, dbx=stranger) == []


@refuses("KEY-CERT-CHAIN")
def test_a_certificate_that_issued_none_of_them_is_refused(
    family: tuple[Signer, Signer, Signer],
) -> None:
    root, middle, leaf = family
    refused = ("KEY-CERT-CHAIN", "refuse")
    assert judged(leaf, root) == [refused]  # the one between is missing
    assert judged(leaf, middle, signer("stranger")) == [refused]
    same_name = issued(None, "middle", ca=True)
    assert judged(leaf, same_name, root) == [refused, refused]
    assert judge_chain(leaf.certificate, (b"no certificate",), b"", MOMENT)[0].rule == refused[0]


@refuses("KEY-CERT-CHAIN")
def test_an_issuer_that_may_not_issue_is_refused() -> None:
    no_authority = issued(None, "no authority", ca=False)
    leaf = issued(no_authority, "leaf", ca=False)
    assert judged(leaf, no_authority) == [("KEY-CERT-CHAIN", "refuse")]


def test_a_chain_that_has_run_out_is_told_and_not_refused() -> None:
    root = issued(None, "root", ca=True, days=-1)
    leaf = issued(root, "leaf", ca=False)
    assert judged(leaf, root) == [("KEY-CERT-CHAIN", "warn")]


@refuses("KEY-CERT-REVOKED")
def test_a_dbx_that_names_signer_chain_or_image_is_refused(
    family: tuple[Signer, Signer, Signer],
) -> None:
    root, middle, leaf = family
    refused = ("KEY-CERT-REVOKED", "refuse")
    assert judged(leaf, dbx=siglist(X509, leaf.certificate)) == [refused]
    assert judged(leaf, dbx=siglist(X509, middle.certificate)) == [refused]  # it issued the leaf
    assert set(judged(leaf, middle, dbx=siglist(X509, root.certificate))) == {refused}
    assert judged(leaf, dbx=b"no dbx") == [refused]
    dbx = siglist(SHA256, IMAGE.value)
    assert [f.rule for f in judge_image(IMAGE, dbx)] == ["KEY-CERT-REVOKED"]
    other = Digest(DigestKind.AUTHENTICODE_SHA256, bytes(32))
    assert (judge_image(other, dbx), judge_image(IMAGE, b""), judge_image(None, dbx)) == ((),) * 3


def test_a_name_is_no_chain() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    root = issued(None, "root", ca=True)
    leaf = issued(root, "leaf", ca=False)
    other = issued(None, "root", ca=True)
    assert x509.load_der_x509_certificate(other.certificate).subject == name
    assert judged(leaf, other) == [("KEY-CERT-CHAIN", "refuse")]
