"""What dbx files say, by vectors and by the tools that write them, and what they refuse."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import sysconfig
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st
from marks import accepts, refuses
from pe.images import MOMENT, PrivateKey, Signer, builder_for, signer, uki

from ceremony.errors import Refused
from ceremony.pe.certificate import key_algorithm, read_certificate
from ceremony.pe.revocation import (
    MOST_DBX_BYTES,
    MOST_REVOKED_CERTIFICATES,
    MOST_SIGNATURES,
    read_revocations,
    revocation_findings,
    signature_revocations,
    signer_revocations,
)
from ceremony.pe.sign import encode, plan_for
from ceremony.pe.sweep import sweep
from ceremony.pe.table import Entry
from ceremony.types import Digest, DigestKind, Finding, Severity

VECTORS = Path(__file__).parents[1] / "vectors" / "dbx"
OWNER = uuid.UUID("6f5c1c39-5d0e-4a6b-9a3c-2f1c8f3b7a10")
GUIDS = {
    "x509": "a5c059a1-94e4-4aa7-87b5-ab155c2bf072",
    "sha256": "c1c41626-504c-4092-aca9-41f936934328",
    "sha384": "ff3e5307-9fd0-48c9-85f1-8ad56c701e01",
    "x509-sha256": "3bd2a492-96c0-4079-b420-fcf98ef103ed",
    "x509-sha384": "7076876e-80c2-4ee6-aad2-28b349a6865b",
    "x509-sha512": "446dbf63-2502-4cda-bcfa-2465d2b0fe9d",
    "external": "452e8ced-dfff-4b8c-ae01-5118862e682c",
    "pkcs7": "4aafd29d-68df-49ee-8aa9-347d375665a7",
}
IMAGE = Digest(DigestKind.AUTHENTICODE_SHA256, hashlib.sha256(b"image").digest())
SERIAL = 0x2026_1122_0304
ALWAYS, LATER = bytes(16), struct.pack("<HBBBBB9x", 2099, 1, 2, 3, 4, 5)


def siglist(kind: str, *told: bytes, owner: uuid.UUID = OWNER) -> bytes:
    """Write one EFI_SIGNATURE_LIST."""
    (size,) = {16 + len(each) for each in told}
    head = struct.pack("<III", 28 + size * len(told), 0, size)
    return uuid.UUID(GUIDS[kind]).bytes_le + head + b"".join(owner.bytes_le + each for each in told)


def tbs_hash(certificate: bytes, algorithm: str = "sha256") -> bytes:
    tbs = x509.load_der_x509_certificate(certificate).tbs_certificate_bytes
    return hashlib.new(algorithm, tbs).digest()


def revoking(*ders: bytes) -> bytes:
    return b"".join(siglist("x509", der) for der in ders)


# Vectors: a text file named by its defect, one field a line.


def field(line: str) -> bytes:
    verb, *words = line.split()
    if verb == "guid":
        return uuid.UUID(GUIDS[words[0]]).bytes_le
    if verb == "hex":
        return bytes.fromhex(words[0])
    numbers = [int(word, 0) for word in words]
    if verb == "zeros":
        return bytes(numbers[0])
    if verb == "fill":
        return bytes([numbers[0]]) * numbers[1]
    forms = {"u16": "<H", "u32": "<I", "time": "<HBBBBB9x"}
    return struct.pack(forms[verb], *numbers)


@dataclass(frozen=True)
class Vector:
    name: str
    expect: tuple[str, ...]
    data: bytes


def vectors() -> list[Vector]:
    found = []
    for path in sorted(VECTORS.glob("*.txt")):
        first, *rest = (line for line in path.read_text("ascii").splitlines() if line[0] != "#")
        expect = tuple(first.removeprefix("expect: ").split())
        found.append(Vector(path.stem, expect, b"".join(field(line) for line in rest)))
    return found


def outcome(data: bytes) -> tuple[str, ...]:
    """Return what the reader says of a file in the words of a vector's expectation."""
    try:
        findings = read_revocations(data).findings
    except Refused as refused:
        findings = refused.findings
    assert all(f.rule == "SIG-DBX" for f in findings)
    return tuple(word for f in findings for word in (str(f.severity), str(f.offset))) or ("accept",)


@accepts("SIG-DBX")
@refuses("SIG-DBX")
@pytest.mark.parametrize("vector", vectors(), ids=lambda v: v.name)
def test_a_dbx_named_by_its_defect_is_refused_at_its_offset(vector: Vector) -> None:
    assert outcome(vector.data) == vector.expect


def test_there_are_vectors_of_every_expectation() -> None:
    assert {vector.expect[0] for vector in vectors()} == {"accept", "info", "warn", "refuse"}


@accepts("SIG-DBX")
def test_everything_that_is_in_a_dbx_is_told(alice: Signer) -> None:
    data = b"".join(
        (
            siglist("sha256", b"a" * 32, b"b" * 32),
            siglist("x509", alice.certificate),
            siglist("sha256", b"c" * 32),
            siglist("x509-sha384", b"d" * 48 + LATER, b"e" * 48 + ALWAYS),
        )
    )
    read = read_revocations(data)
    assert read.digests == {b"a" * 32, b"b" * 32, b"c" * 32}
    assert [c.der for c in read.certificates] == [alice.certificate]
    assert [(h.algorithm, h.value, h.since) for h in read.certificate_hashes] == [
        ("sha384", b"d" * 48, "from 2099-01-02 03:04:05 on"),
        ("sha384", b"e" * 48, "always"),
    ]
    assert read.findings == ()
    assert read_revocations(b"\x27\0\0\0" + data) == read


@refuses("SIG-DBX")
def test_every_file_cut_inside_a_list_is_refused(alice: Signer) -> None:
    lists = (siglist("sha256", b"a" * 32), siglist("x509", alice.certificate))
    data = b"".join(lists)
    whole = {len(lists[0]), len(data)}
    for size in range(1, len(data) + 1):
        if size in whole:
            read_revocations(data[:size])
        else:
            assert outcome(data[:size])[0] == "refuse", size


@given(st.binary(max_size=200))
@example(bytes(28))
def test_garbage_is_refused_and_raises_nothing_else(data: bytes) -> None:
    outcome(data)
    outcome(uuid.UUID(GUIDS["sha256"]).bytes_le + data)


@given(st.data())
def test_a_changed_dbx_is_refused_or_read_whole(data: st.DataObject) -> None:
    dbx = bytearray(siglist("sha256", b"a" * 32) + siglist("external", b"\0", b"\1"))
    for _ in range(data.draw(st.integers(1, 4))):
        dbx[data.draw(st.integers(0, len(dbx) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_revocations(bytes(dbx))
    except Refused:
        return
    # Whatever was changed, no list has vanished unsaid.
    assert len(read.digests) + len(read.findings) == 2


@refuses("SIG-DBX")
@pytest.mark.parametrize(
    "data",
    [
        bytes(MOST_DBX_BYTES + 1),
        siglist("external", *[b"\0"] * (MOST_SIGNATURES + 1)),
        siglist("external", b"\0") * (MOST_SIGNATURES + 1),
    ],
    ids=["bytes", "signatures", "lists"],
)
def test_a_dbx_above_a_cap_is_refused_at_once(data: bytes) -> None:
    began = time.process_time()
    assert outcome(data)[0] == "refuse"
    assert time.process_time() - began < 2


@accepts("SIG-DBX")
@refuses("SIG-DBX")
def test_the_number_of_certificates_is_bounded() -> None:
    small = signer("p256", curve=ec.SECP256R1()).certificate
    most = siglist("x509", *[small] * MOST_REVOKED_CERTIFICATES)
    assert len(read_revocations(most).certificates) == MOST_REVOKED_CERTIFICATES
    assert outcome(most + siglist("x509", small))[0] == "refuse"


# Judging: chains of real certificates.


def issued(by: Signer | None, name: str, key: PrivateKey, issuer_name: str = "") -> Signer:
    """Issue a certificate; `issuer_name` may tell a lie about who did."""
    above = name if by is None else common_name(by.certificate)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer_name or above))
        .public_key(key.public_key())
        .serial_number(SERIAL)
        .not_valid_before(MOMENT)
        .not_valid_after(MOMENT)
    )
    certificate = builder.sign(key if by is None else by.key, hashes.SHA256())
    return Signer(key, certificate.public_bytes(serialization.Encoding.DER))


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def common_name(der: bytes) -> str:
    return read_certificate(der).subject.removeprefix("CN=")


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Chain:
    """Root, intermediate and signer, and a signature that carries the latter two."""

    root: Signer
    middle: Signer
    leaf: Signer

    @property
    def carried(self) -> tuple[bytes, ...]:
        return (self.leaf.certificate, self.middle.certificate)

    def pkcs7(self, *chain: bytes) -> bytes:
        return pkcs7(self.leaf, *chain)

    def entry(self) -> Entry:
        return entry(pkcs7(self.leaf, self.middle.certificate))


def pkcs7(by: Signer, *chain: bytes) -> bytes:
    algorithm = key_algorithm(read_certificate(by.certificate))
    planned = plan_for(IMAGE, by.certificate, chain, MOMENT, algorithm)
    return encode(planned, by.sign(planned.attributes))


def entry(blob: bytes, at: int = 4096) -> Entry:
    return Entry(at, len(blob) + 8, blob)


@pytest.fixture(scope="module", params=["rsa", "ec"])
def chain(request: pytest.FixtureRequest) -> Chain:
    def key() -> PrivateKey:
        return rsa_key() if request.param == "rsa" else ec.generate_private_key(ec.SECP384R1())

    root = issued(None, "root", key())
    middle = issued(root, "middle", key())
    return Chain(root, middle, issued(middle, "leaf", rsa_key()))


def judged(data: bytes, *entries: Entry) -> list[tuple[str, int | None]]:
    found = revocation_findings(IMAGE, entries, read_revocations(data))
    assert all((f.rule, f.severity) == ("SIG-REVOKED", Severity.REFUSE) for f in found)
    return [(f.text, f.offset) for f in found]


@accepts("SIG-REVOKED")
def test_what_is_not_in_dbx_is_not_refused(chain: Chain, bob: Signer) -> None:
    others = (
        siglist("sha256", b"a" * 32),
        revoking(bob.certificate),
        siglist("x509-sha256", tbs_hash(bob.certificate) + ALWAYS),
        # A certificate's own hash is no hash of its signed part, nor of the image.
        siglist("x509-sha256", hashlib.sha256(chain.leaf.certificate).digest() + ALWAYS),
        siglist("sha256", hashlib.sha256(chain.leaf.certificate).digest()),
        siglist("x509-sha384", tbs_hash(chain.leaf.certificate, "sha512")[:48] + ALWAYS),
    )
    assert judged(b"".join(others), chain.entry()) == []
    assert judged(revoking(chain.leaf.certificate)) == []


@refuses("SIG-REVOKED")
def test_an_image_whose_digest_is_in_dbx_is_refused_signed_or_not(chain: Chain) -> None:
    dbx = siglist("sha256", b"a" * 32, IMAGE.value)
    for entries in ((), (chain.entry(),)):
        ((text, offset),) = judged(dbx, *entries)
        assert text == f"the image {IMAGE.hex[:16]}... is in dbx"
        assert offset is None


@refuses("SIG-REVOKED")
@pytest.mark.parametrize("who", ["root", "middle", "leaf"])
def test_a_revoked_certificate_anywhere_in_the_chain_refuses(chain: Chain, who: str) -> None:
    by: Signer = getattr(chain, who)
    facts = [text for text, at in judged(revoking(by.certificate), chain.entry()) if at == 4096]
    assert (
        facts[-1]
        == {
            "leaf": "the certificate CN=leaf is in dbx",
            "middle": "the certificate CN=middle is in dbx",
            "root": "the certificate CN=middle was issued by CN=root, which is in dbx",
        }[who]
    )


@refuses("SIG-REVOKED")
@pytest.mark.parametrize("kind", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("when", [ALWAYS, LATER], ids=["always", "later"])
@pytest.mark.parametrize("who", ["middle", "leaf"])
def test_a_certificate_revoked_by_its_hash_refuses_whatever_the_time(
    chain: Chain, kind: str, when: bytes, who: str
) -> None:
    by: Signer = getattr(chain, who)
    dbx = siglist(f"x509-{kind}", tbs_hash(by.certificate, kind) + when)
    ((text, _),) = judged(dbx, chain.entry())
    since = "always" if when == ALWAYS else "from 2099-01-02 03:04:05 on"
    assert text == f"the certificate CN={who} is in dbx by its {kind}, revoked {since}"


@refuses("SIG-REVOKED")
def test_an_issuer_that_the_signature_does_not_carry_refuses(chain: Chain) -> None:
    alone = entry(chain.pkcs7())
    ((text, _),) = judged(revoking(chain.middle.certificate), alone)
    assert text == "the certificate CN=leaf was issued by CN=middle, which is in dbx"
    assert judged(revoking(chain.root.certificate), alone) == []


@refuses("SIG-REVOKED")
def test_one_revoked_signature_refuses_beside_good_ones_in_any_order(
    chain: Chain, bob: Signer
) -> None:
    good, bad = pkcs7(bob), chain.pkcs7()
    dbx = revoking(chain.leaf.certificate)
    for blobs in ((good, bad), (bad, good)):
        entries = tuple(entry(blob, 4096 * (i + 1)) for i, blob in enumerate(blobs))
        ((_, at),) = judged(dbx, *entries)
        assert at == entries[blobs.index(bad)].offset


@accepts("SIG-REVOKED")
def test_a_revoked_certificate_that_is_only_carried_along_is_not_the_chain(
    chain: Chain, bob: Signer
) -> None:
    both = entry(pkcs7(chain.leaf, bob.certificate))
    assert judged(revoking(bob.certificate), both) == []


@refuses("SIG-REVOKED")
def test_the_same_key_under_another_name_is_still_revoked(bob: Signer) -> None:
    root = issued(None, "root", rsa_key())
    renamed = issued(None, "root, renamed", root.key)
    leaf = issued(root, "leaf", rsa_key(), issuer_name="root, renamed")
    blob = entry(pkcs7(leaf, renamed.certificate))
    assert judged(revoking(root.certificate), blob)
    assert judged(revoking(bob.certificate), blob) == []
    # A new certificate over the revoked key of a self-signed one.
    again = issued(None, "another year", bob.key)
    assert judged(revoking(bob.certificate), entry(pkcs7(again)))


@accepts("SIG-REVOKED")
def test_the_same_name_with_another_key_is_not_revoked(chain: Chain) -> None:
    impostors = (issued(None, name, rsa_key()) for name in ("root", "middle", "leaf"))
    assert judged(revoking(*(i.certificate for i in impostors)), chain.entry()) == []


@refuses("SIG-REVOKED")
def test_an_issuer_whose_kind_of_signature_is_unknown_is_told_by_its_name(bob: Signer) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    made = builder_for("edwards").public_key(key.public_key()).sign(key, None)
    dbx = revoking(made.public_bytes(serialization.Encoding.DER))
    claims = issued(bob, "leaf", rsa_key(), issuer_name="edwards")
    assert judged(dbx, entry(pkcs7(claims)))
    assert judged(dbx, entry(pkcs7(bob))) == []


@refuses("SIG-REVOKED")
def test_a_signature_that_cannot_be_asked_about_is_refused(chain: Chain, bob: Signer) -> None:
    revocations = read_revocations(revoking(bob.certificate))
    blob = chain.pkcs7()
    # The same signature that names another serial number than that which it carries.
    at = blob.rindex(SERIAL.to_bytes(6, "big"))
    lost = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
    for broken in (b"", b"\x30\x00", bytes(1024), blob[:-1], blob + b"\0", lost):
        (found,) = signature_revocations(broken, 7, revocations)
        assert (found.rule, found.severity, found.offset) == ("SIG-REVOKED", Severity.REFUSE, 7)
        assert found.text.startswith("dbx cannot be asked about a signature")
    assert signature_revocations(blob, 7, revocations) == ()


@accepts("SIG-REVOKED")
@refuses("SIG-REVOKED")
def test_a_revoked_signer_is_refused_before_it_signs(chain: Chain, bob: Signer) -> None:
    carried = (read_certificate(chain.middle.certificate),)

    def asked(*revoked: bytes) -> tuple[Finding, ...]:
        leaf = read_certificate(chain.leaf.certificate)
        return signer_revocations(leaf, carried, read_revocations(revoking(*revoked)))

    assert asked(bob.certificate) == ()
    for by in (chain.leaf, chain.middle, chain.root):
        assert {f.rule for f in asked(by.certificate, bob.certificate)} == {"SIG-REVOKED"}


def test_carried_certificates_that_issue_each_other_end(chain: Chain) -> None:
    one, other = rsa_key(), rsa_key()
    first = issued(None, "one", one)
    second = issued(first, "other", other)
    crossed = issued(second, "one", one)
    leaf = read_certificate(issued(first, "leaf", rsa_key()).certificate)
    carried = [read_certificate(c.certificate) for c in (first, second, crossed)]
    dbx = read_revocations(revoking(chain.root.certificate))
    assert signer_revocations(leaf, (*carried, *carried), dbx) == ()


# The tools that write such files.


def tool(folder: Path, *words: str | Path) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@accepts("SIG-DBX")
@refuses("SIG-REVOKED")
def test_sbsiglist_and_sbvarsign_write_what_is_read(
    tmp_path: Path, alice: Signer, bob: Signer
) -> None:
    key, certificate = alice.write(tmp_path, "alice")
    (tmp_path / "der").write_bytes(bob.certificate)
    (tmp_path / "digest").write_bytes(IMAGE.value)
    make = ("sbsiglist", "--owner", str(OWNER))
    tool(tmp_path, *make, "--type", "x509", "--output", "a.esl", "der")
    tool(tmp_path, *make, "--type", "sha256", "--output", "b.esl", "digest")
    raw = (tmp_path / "a.esl").read_bytes() + (tmp_path / "b.esl").read_bytes()
    (tmp_path / "raw.esl").write_bytes(raw)
    sign = ("sbvarsign", "--key", key, "--cert", certificate)
    tool(tmp_path, *sign, "--output", "signed", "dbx", "raw.esl")
    tool(tmp_path, *sign, "--include-attrs", "--output", "attributes", "dbx", "raw.esl")
    assert read_revocations(raw).findings == ()
    for name, at in (("raw.esl", None), ("signed", 16), ("attributes", 20)):
        read = read_revocations((tmp_path / name).read_bytes())
        assert [c.der for c in read.certificates] == [bob.certificate]
        assert read.digests == {IMAGE.value}
        assert [f.offset for f in read.findings] == ([] if at is None else [at])
        found = revocation_findings(IMAGE, (entry(pkcs7(bob)), entry(pkcs7(alice))), read)
        assert [f.rule for f in found] == ["SIG-REVOKED", "SIG-REVOKED"]


@accepts("SIG-DBX")
@refuses("SIG-REVOKED")
@pytest.mark.parametrize("bits", ["256", "384", "512"])
def test_efitools_writes_what_is_read(tmp_path: Path, bob: Signer, bits: str) -> None:
    _, certificate = bob.write(tmp_path, "bob")
    when = ("-t", "2026-11-22 03:04:05")
    make = ("cert-to-efi-hash-list", "-g", str(OWNER), "-s", bits)
    tool(tmp_path, *make, certificate, "always.esl")
    tool(tmp_path, *make, *when, certificate, "since.esl")
    tool(tmp_path, "cert-to-efi-sig-list", "-g", str(OWNER), certificate, "whole.esl")
    whole = read_revocations((tmp_path / "whole.esl").read_bytes())
    assert [c.der for c in whole.certificates] == [bob.certificate]
    for name, since in (("always", "always"), ("since", "from 2026-11-22 03:04:05 on")):
        read = read_revocations((tmp_path / f"{name}.esl").read_bytes())
        (told,) = read.certificate_hashes
        assert (told.algorithm, told.since) == (f"sha{bits}", since)
        assert [f.rule for f in revocation_findings(IMAGE, (entry(pkcs7(bob)),), read)] == [
            "SIG-REVOKED"
        ]


@accepts("SIG-DBX")
def test_efitools_and_the_image_digest_agree(tmp_path: Path) -> None:
    image = tmp_path / "uki.efi"
    image.write_bytes(uki())
    tool(tmp_path, "hash-to-efi-sig-list", image, "dbx.esl")
    read = read_revocations((tmp_path / "dbx.esl").read_bytes())
    (found,) = revocation_findings(sweep(uki()).authenticode, (), read)
    assert found.rule == "SIG-REVOKED"


@accepts("SIG-DBX")
def test_virt_firmware_writes_what_is_read_and_reads_what_is_written(
    tmp_path: Path, alice: Signer, bob: Signer
) -> None:
    beside = sysconfig.get_path("scripts")
    program = shutil.which("virt-fw-sigdb", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("virt-firmware is not installed")
    ours, theirs, again = (tmp_path / name for name in ("ours", "theirs", "again"))
    words: list[str | Path] = [program, "--output", theirs]
    for by in (alice, bob):
        words += ["--add-cert", str(OWNER), by.write(tmp_path, common_name(by.certificate))[1]]
    for each in (b"a" * 32, IMAGE.value):
        words += ["--add-hash", str(OWNER), each.hex()]
    tool(tmp_path, *words)
    read = read_revocations(theirs.read_bytes())
    assert [c.der for c in read.certificates] == [alice.certificate, bob.certificate]
    assert read.digests == {b"a" * 32, IMAGE.value}
    certificates = revoking(alice.certificate, bob.certificate)
    ours.write_bytes(certificates + siglist("sha256", b"a" * 32, IMAGE.value))
    tool(tmp_path, program, "--input", ours, "--output", again)
    assert again.read_bytes() == ours.read_bytes() == theirs.read_bytes()
