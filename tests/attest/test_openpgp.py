"""Detached OpenPGP signatures agree with the real gpg; nothing else is believed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from itertools import count

import pytest
from attest.gpg_home import CREATED, SIGNED, Gpg, HandMade, area, packet, subpacket
from attest.openpgp_people import CONTENT, KINDS, People, barred, counted, readings
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from marks import accepts, refuses
from quorum.release import Release
from quorum.ssh_authority import Making
from quorum.toml_text import toml

from ceremony.attest import openpgp
from ceremony.attest.detached import read_sshsig_pair
from ceremony.attest.openpgp import MOST_TRIALS, read_openpgp_pair
from ceremony.attest.openpgp_armour import dearmoured
from ceremony.attest.openpgp_file import (
    MOST_SIGNATURES,
    looks_like_openpgp,
    read_detached,
    read_signature_file,
)
from ceremony.attest.openpgp_wire import read_packets
from ceremony.attest.proof import check_proof
from ceremony.attest.record import Attestation, Malformed, Reading, Unverified
from ceremony.attest.sums import MOST_BYTES
from ceremony.errors import Refused
from ceremony.keys import Scheme
from ceremony.policy import Policy, load
from ceremony.types import MediaFile

HASHES = ("SHA256", "SHA384", "SHA512")
TOO_SHORT = {("nistp384", "SHA256"), ("nistp521", "SHA256"), ("nistp521", "SHA384")}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    release = Release.make(tmp_path_factory.mktemp("release"))
    with Gpg.made() as gpg:
        yield People.made(gpg, release)


@accepts("ATT-OPENPGP", "ATT-OPENPGP-HASH", "ATT-OPENPGP-CLEARSIGNED", "ATT-SIGNATURE")
@pytest.mark.parametrize(
    ("kind", "digest"),
    [(kind, digest) for kind in KINDS for digest in HASHES if (kind, digest) not in TOO_SHORT],
)
def test_what_gpg_signs_verifies(people: People, kind: str, digest: str) -> None:
    signature = people.sign(kind, "--digest-algo", digest)
    reading = counted(people, signature)
    assert reading.builder == kind
    assert (reading.key,) == people.key(kind).keys
    assert reading.key.algorithm == KINDS[kind]
    assert reading.claims.time == SIGNED
    assert [artifact.name for artifact in reading.claims.artifacts] == ["anchor.efi"]
    if kind == "rsa3072":
        assert reading.scheme == f"rsa-pkcs1-{digest.lower()}"
        assert reading.key.allowed_by(("rsa>=3072-sha256",), reading.scheme)
        strict = reading.key.allowed_by(("rsa>=3072-sha512",), reading.scheme)
        assert strict == (digest == "SHA512")


@accepts("ATT-OPENPGP")
@pytest.mark.parametrize("kind", ["ed25519", "rsa3072"])
def test_binary_files_text_signatures_and_both_line_ends_verify(people: People, kind: str) -> None:
    armoured = people.sign(kind)
    assert counted(people, people.sign(kind, "--no-armor")).builder == kind
    assert counted(people, people.sign(kind, "--textmode")).builder == kind
    assert counted(people, armoured.replace(b"\n", b"\r\n")).builder == kind
    checked = b"\n".join(line for line in armoured.split(b"\n") if line[:1] != b"=")
    assert len(checked) < len(armoured)
    assert counted(people, checked).builder == kind
    commented = people.sign(kind, "--comment", "made by hand", "--emit-version")
    assert counted(people, commented).builder == kind


@pytest.mark.parametrize("content", [b"", b"a", b"a\n", b"a\r\nb\n", b"a\r\n\n b \t\n", b"\r\n"])
def test_text_is_made_canonical_as_gpg_does(people: People, content: bytes) -> None:
    signature = people.sign("ed25519", "--textmode", data=content)
    changed = content.replace(b"\r\n", b"\n")
    words = [status[0] for status in people.gpg.status(signature, changed) if status]
    assert "GOODSIG" in words
    for same in (content, changed):
        (reading,) = readings(people, signature, same)
        # It fits; what was signed is no checksum file.
        assert isinstance(reading, (Malformed, Attestation))
        assert reading.builder == "ed25519"
    assert barred(people, signature, content + b"\nx").rule == "ATT-SIGNATURE"


def test_a_subkey_signs_for_its_builder(people: People) -> None:
    primary, subkey = people.key("subkeyed").key_ids
    keys = people.key("subkeyed").keys
    for fingerprint, key in zip((primary, subkey), keys, strict=True):
        reading = counted(people, people.gpg.sign(f"{fingerprint}!", CONTENT))
        assert (reading.builder, reading.key) == ("subkeyed", key)


@refuses("QRM-ENROLLED")
def test_a_primary_that_only_certifies_signs_nothing_as_in_gpg(people: People) -> None:
    fingerprint = people.gpg.key("certifier <certifier@x>", "ed25519")
    people.gpg("--quick-add-key", fingerprint, "ed25519", "sign", "never")
    subkey = people.gpg.fingerprints(fingerprint)[1]
    by_primary, by_subkey = (people.gpg.sign(f"{key}!", CONTENT) for key in (fingerprint, subkey))

    def judged() -> tuple[Policy, list[Reading]]:
        people.exported["certifier"] = people.gpg.export(fingerprint)
        tables = people.release.tables("ann", quorum={"threshold": 1})
        tables["builder"] = [people.builder("certifier")]
        policy = load(toml(tables))
        files = (MediaFile("SHA256SUMS", CONTENT),)
        pair = (MediaFile("SHA256SUMS.asc", data) for data in (by_primary, by_subkey))
        return policy, [read_openpgp_pair(file, files, policy)[0] for file in pair]

    before, both = judged()
    assert all(isinstance(reading, Attestation) for reading in both)
    people.gpg.command("change-usage\nS\nQ\nsave\n", "--edit-key", fingerprint)
    after, (certified, signed) = judged()
    del people.exported["certifier"]
    for signature, good in ((by_primary, False), (by_subkey, True)):
        words = {status[0] for status in people.gpg.status(signature, CONTENT) if status}
        assert ("GOODSIG" in words) == good
    assert isinstance(signed, Attestation)
    assert isinstance(certified, Unverified)
    assert (certified.rule, certified.builder) == ("QRM-ENROLLED", "certifier")
    assert "certify its subkeys" in certified.text
    # Nor does a reader that was taken over make a vote of it; the key itself stays enrolled.
    attestation = both[0]
    assert isinstance(attestation, Attestation)
    assert attestation.proof is not None
    for policy, fits in ((before, True), (after, False)):
        held = policy.enrolled[attestation.key.fpr][1]
        with nullcontext() if fits else pytest.raises(Refused, match="MED-SANDBOX"):
            check_proof("openpgp", attestation.scheme, attestation.proof, held, None)


@refuses("QRM-ENROLLED")
def test_a_primary_that_only_certifies_signs_no_sshsig_either(people: People) -> None:
    """Its signature as ssh-keygen's counted, by the reader and by the check of its proof."""
    made = HandMade(Ed25519PrivateKey.generate())
    user_id = b"certifier <certifier@x>"
    framed = b"\x99" + len(made.body).to_bytes(2, "big") + made.body
    framed += b"\xb4" + len(user_id).to_bytes(4, "big") + user_id
    issuer = subpacket(33, b"\x04" + made.fingerprint)
    ssh = Making(user=made.private).sign_plain(CONTENT)
    files = (MediaFile("SHA256SUMS", CONTENT),)
    told = []
    for flags in (b"\x03", b"\x01"):
        own = made.sign(framed, kind=0x13, hashed=area(CREATED, subpacket(27, flags), issuer))
        people.exported["certifier"] = made.key + packet(13, user_id) + packet(2, own)
        tables = people.release.tables("ann", quorum={"threshold": 1})
        tables["builder"] = [people.builder("certifier")]
        policy = load(toml(tables))
        del people.exported["certifier"]
        told.append((policy, read_sshsig_pair(MediaFile("SHA256SUMS.sig", ssh), files, policy)))
    (_, good), (after, certified) = told
    assert isinstance(good, Attestation)
    assert isinstance(certified, Unverified)
    assert (certified.rule, certified.builder) == ("QRM-ENROLLED", "certifier")
    assert good.proof is not None
    held = after.enrolled[good.key.fpr][1]
    with pytest.raises(Refused, match="only certifies"):
        check_proof("sshsig", good.scheme, good.proof, held, None)


def test_the_newer_ed25519_signature_verifies(people: People) -> None:
    for algorithm in (27, 22):
        body = people.hand.sign(CONTENT, algorithm=algorithm)
        reading = counted(people, packet(2, body))
        assert (reading.builder, reading.scheme) == ("hand", Scheme.ED25519)


def test_a_wrong_or_missing_hint_only_costs_a_trial(people: People) -> None:
    wrong = area(subpacket(16, b"8 bytes."))
    for unhashed in (area(), wrong):
        body = people.hand.sign(CONTENT, unhashed=unhashed)
        assert counted(people, packet(2, body)).builder == "hand"


@refuses("ATT-SIGNATURE")
@pytest.mark.parametrize("kind", KINDS)
def test_changed_bytes_do_not_fit(people: People, kind: str) -> None:
    digest = "SHA512"
    binary = people.sign(kind, "--no-armor", "--digest-algo", digest)
    assert barred(people, binary, CONTENT + b"\n").rule == "ATT-SIGNATURE"
    flipped = binary[:-1] + bytes([binary[-1] ^ 1])
    reading = barred(people, flipped)
    assert (reading.rule, reading.builder) == ("ATT-SIGNATURE", kind)
    assert isinstance(reading, Unverified)
    assert reading.claims is not None


def test_the_time_is_signed(people: People) -> None:
    binary = people.sign("ed25519", "--no-armor")
    stamp = int(SIGNED.timestamp()).to_bytes(4, "big")
    later = int((SIGNED + timedelta(days=1)).timestamp()).to_bytes(4, "big")
    assert binary.count(stamp) == 1
    assert barred(people, binary.replace(stamp, later)).rule == "ATT-SIGNATURE"


@refuses("ATT-OPENPGP-HASH")
def test_old_hashes_are_refused_by_name(people: People) -> None:
    for digest, called in (("SHA1", "SHA-1"), ("SHA224", "SHA-224"), ("RIPEMD160", "RIPEMD-160")):
        reading = barred(people, people.sign("rsa3072", "--digest-algo", digest))
        assert (reading.rule, reading.builder) == ("ATT-OPENPGP-HASH", "rsa3072")
        assert called in reading.text


@refuses("ATT-OPENPGP-HASH")
@pytest.mark.parametrize(("kind", "digest"), sorted(TOO_SHORT))
def test_a_hash_shorter_than_its_curve_is_refused(people: People, kind: str, digest: str) -> None:
    (body,) = read_signature_file(people.sign(kind))
    shortened = body[:3] + bytes([8 + HASHES.index(digest)]) + body[4:]
    signature = read_detached(shortened)
    with pytest.raises(Refused, match=r"ATT-OPENPGP-HASH: sha... is too short"):
        signature.verify(people.key(kind).keys[0], signature.hasher(CONTENT))


@refuses("ATT-OPENPGP-CLEARSIGNED")
def test_files_that_carry_what_they_sign_are_refused_by_name(people: People) -> None:
    who = ("--local-user", "ed25519@x")
    for words in (("--clear-sign",), ("--armor", "--sign"), ("--sign",), ("--store",)):
        data = people.gpg(*who, *words, data=CONTENT)
        assert looks_like_openpgp("SHA256SUMS.asc", data) == data.startswith(b"-----")
        assert barred(people, data).rule == "ATT-OPENPGP-CLEARSIGNED"
    old_form = people.sign("ed25519", "--no-armor") + packet(11, b"b\0\0\0\0\0" + CONTENT)
    assert barred(people, old_form).rule == "ATT-OPENPGP-CLEARSIGNED"


def test_several_signatures_in_one_file_give_a_reading_each(people: People) -> None:
    one, two = people.sign("ed25519"), people.sign("rsa3072")
    stranger = people.sign("stranger")
    raw = people.gpg(
        *("--local-user", "ed25519@x", "--local-user", "rsa3072@x"),
        *("--detach-sign",),
        data=CONTENT,
    )
    assert [r.builder for r in readings(people, raw, CONTENT)] == ["ed25519", "rsa3072"]
    together = one + stranger + two + one
    kinds = [(type(r), r.builder) for r in readings(people, together, CONTENT)]
    assert kinds == [(Attestation, "ed25519"), (Unverified, ""), (Attestation, "rsa3072")]


@pytest.mark.parametrize("name", ["stranger", "hand-made"])
def test_a_stranger_is_reported_with_what_it_says(people: People, name: str) -> None:
    other = HandMade(Ed25519PrivateKey.generate())
    made = people.sign(name) if name == "stranger" else packet(2, other.sign(CONTENT))
    reading = barred(people, made)
    assert isinstance(reading, Unverified)
    assert (reading.rule, reading.builder) == ("QRM-ENROLLED", "")
    assert reading.claims is not None


@accepts("ATT-ALONE")
@refuses("ATT-ALONE", "ATT-SUMS")
def test_the_signed_file_must_be_there_and_be_a_checksum_file(people: People) -> None:
    signature = people.sign("ed25519")
    (alone,) = readings(people, signature)
    assert isinstance(alone, Unverified)
    assert alone.rule == "ATT-ALONE"
    other = CONTENT.replace(b"anchor", b"banner")
    assert counted(people, signature, other, CONTENT).builder == "ed25519"
    prose = people.sign("ed25519", data=b"I agree.\n")
    reading = barred(people, prose, b"I agree.\n")
    assert (reading.rule, reading.builder) == ("ATT-SUMS", "ed25519")
    long = bytes(MOST_BYTES + 1)
    assert barred(people, people.sign("ed25519", data=long), long).rule == "ATT-SUMS"


@refuses("ATT-OPENPGP")
def test_signatures_that_gpg_made_for_something_else_are_refused(people: People) -> None:
    key = people.gpg.export("ed25519@x")
    (certification,) = [part for part in _packets(key) if part[0] == 2]
    assert "0x13" in barred(people, packet(*certification)).text
    expiring = people.sign("ed25519", "--default-sig-expire", "1d")
    assert "expires" in barred(people, expiring).text
    notation = people.sign("ed25519", "--set-notation", "!a@example.org=b")
    assert "must be understood" in barred(people, notation).text
    harmless = people.sign("ed25519", "--set-notation", "a@example.org=b")
    assert counted(people, harmless).builder == "ed25519"


def _packets(data: bytes) -> list[tuple[int, bytes]]:
    return [(part.tag, part.body) for part in read_packets(data, "ATT-OPENPGP-KEY", 100)]


def test_the_trials_of_one_file_are_bounded(people: People) -> None:
    """One signature fits nobody though its digest begins right: every holder is tried."""
    wrong = HandMade(Ed25519PrivateKey.generate())
    bodies = [
        wrong.sign(CONTENT, hashed=area(CREATED, subpacket(20, bytes([n]))))
        for n in range(MOST_SIGNATURES - 1)
    ]
    right = people.hand.sign(CONTENT)
    files = b"".join(packet(2, body) for body in [*bodies, right])
    last = readings(people, files, CONTENT)[-1]
    assert len(people.policy.enrolled) * MOST_SIGNATURES > MOST_TRIALS
    assert isinstance(last, Unverified)
    assert counted(people, packet(2, right)).builder == "hand"


def test_a_strangers_file_does_not_use_up_the_trials_of_who_is_named(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose digest begins as the signed one's: every holder was tried on it before."""
    monkeypatch.setattr(openpgp, "MOST_TRIALS", len(people.policy.enrolled))
    issuer = area(subpacket(16, people.hand.fingerprint[-8:]))
    signature = people.hand.sign(CONTENT, unhashed=issuer)
    fields = read_detached(signature)
    nearer = next(
        content
        for content in (CONTENT + b"# %d\n" % number for number in count())
        if fields.digest(fields.hasher(content))[:2] == fields.start
    )
    assert counted(people, packet(2, signature), nearer, CONTENT).builder == "hand"


def test_what_a_signature_looks_like(people: People) -> None:
    binary = people.sign("ed25519", "--no-armor")
    for name in ("SHA256SUMS.sig", "SHA256SUMS.gpg", "SHA256SUMS.asc"):
        assert looks_like_openpgp(name, binary)
    assert looks_like_openpgp("anything", people.sign("ed25519"))
    assert not looks_like_openpgp("SHA256SUMS.bin", binary)
    assert not looks_like_openpgp("key.asc", people.gpg.export("ed25519@x", "--armor"))
    assert not looks_like_openpgp("x.sig", b"untrusted comment: x\n")
    assert not looks_like_openpgp("x.sig", b"")


def test_a_checksum_of_the_armour_refuses_nothing(people: People) -> None:
    """RFC 9580 6.1: it may be missing, and may not fit."""
    signature = people.sign("ed25519")
    lines = signature.decode("ascii").splitlines()
    *body, end = [line for line in lines if not re.fullmatch("=[^=]{4}", line)]
    right = "".join(line for line in lines if line not in {*body, end})
    wrong = "=BBBB" if right == "=AAAA" else "=AAAA"
    for checksum in ([], [wrong]):
        text = "\n".join([*body, *checksum, end, ""])
        assert counted(people, text.encode("ascii"), CONTENT).builder == "ed25519"


def test_signature_files_hold_each_packet_once(people: People) -> None:
    signature = people.sign("ed25519")
    assert len(read_signature_file(signature * 3)) == 1
    assert dearmoured(signature, "PGP SIGNATURE", "X") == people.sign("ed25519", "--no-armor")
    with pytest.raises(Refused, match="not a PGP SIGNATURE"):
        dearmoured(signature.replace(b"SIGNATURE", b"MESSAGE"), "PGP SIGNATURE", "X")
