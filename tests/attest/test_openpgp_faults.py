"""Signature files that are not as the standard says, by hand and by cutting gpg's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attest.gpg_home import CREATED, Gpg, area, mpi, packet, subpacket
from attest.openpgp_people import CONTENT, People, barred
from marks import refuses
from quorum.release import Release

from ceremony.attest.openpgp_file import MOST_SIGNATURES
from ceremony.attest.record import Malformed


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    release = Release.make(tmp_path_factory.mktemp("release"))
    with Gpg.made() as gpg:
        yield People.made(gpg, release)


@refuses("ATT-OPENPGP")
def test_hand_made_faults_are_malformed(people: People) -> None:
    sign = people.hand.sign
    issuer = subpacket(33, b"\x04" + people.hand.fingerprint)
    body = sign(CONTENT, hashed=area(CREATED, issuer))
    twice, none = area(CREATED, CREATED), area()
    names = [subpacket(33, b"\x04" + bytes([n]) * 20) for n in (1, 2)]
    for bad, why in (
        (sign(CONTENT, hashed=twice), "when it was made"),
        (sign(CONTENT, hashed=none, unhashed=area(CREATED)), "when it was made"),
        (sign(CONTENT, hashed=area(subpacket(2, b"12345"))), "when it was made"),
        (sign(CONTENT, hashed=area(CREATED, *names)), "names two keys"),
        (sign(CONTENT, hashed=area(CREATED, subpacket(0x80 | 99, b""))), "subpacket 99"),
        (sign(CONTENT, unhashed=area(subpacket(0x80 | 99, b""))), "subpacket 99"),
        (sign(CONTENT, hashed=area(CREATED, *[subpacket(20, b"x")] * 64)), "more than 64 subp"),
        (sign(CONTENT, hashed=b"\0\x07" + CREATED[:7]), "longer than its area"),
        (sign(CONTENT, hashed=b"\0\1\0"), "subpacket is empty"),
        (sign(CONTENT, hashed=b"\0\1\xff"), "length is cut off"),
        (sign(CONTENT, kind=2), "type 0x02"),
        (b"\x03" + body[1:], "version 3"),
        (b"\x06" + body[1:], "version 6"),
        (b"", "version 0"),
        (body[:9], "too early"),
        (body[:-1], "too early"),
        (body + b"\0", "after the last field"),
    ):
        reading = barred(people, packet(2, bad))
        assert (type(reading), reading.rule) == (Malformed, "ATT-OPENPGP")
        assert why in reading.text


def test_another_algorithms_fields_fit_no_key(people: People) -> None:
    body = people.hand.sign(CONTENT, algorithm=17)
    assert barred(people, packet(2, body)).rule in ("ATT-SIGNATURE", "QRM-ENROLLED")


@refuses("ATT-OPENPGP")
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"-----END PGP SIGNATURE-----\n", b"", "does not end"),
        (b"-----END PGP SIG", b"-----END PGP MES", "does not end"),
        (b"\n\n", b"\n", "header line"),
        (b"\n\n", b"\nno header\n\n", "header line"),
        (b"\n\n", b"\n" + b"Comment: x\n" * 9 + b"\n", "header line"),
        (b"\n\n", b"\nComment: " + b"x" * 300 + b"\n\n", "header line"),
        (b"\n\n", b"\n\n\n", "empty or longer"),
        (b"\n\n", b"\n\n" + b"A" * 260 + b"\n", "empty or longer"),
        (b"\n=", b"\n=A", "base64"),
        (b"\n=", b"\n\xff", "not text"),
        (b"-----\n\n", b"-----\n\nAAAA\n", "no OpenPGP packet"),
    ],
)
def test_armour_is_strict(people: People, old: bytes, new: bytes, why: str) -> None:
    reading = barred(people, people.sign("ed25519").replace(old, new, 1))
    assert (reading.rule, type(reading)) == ("ATT-OPENPGP", Malformed)
    assert why in reading.text


@refuses("ATT-OPENPGP")
def test_what_stands_around_the_signature_is_refused(people: People) -> None:
    signature = people.sign("ed25519")
    binary = people.sign("ed25519", "--no-armor")
    key = people.gpg.export("ed25519@x", "--armor")
    block = signature.replace(b"\n\n", b"\n\n", 1)
    for bad, why in (
        (signature + b"trailing\n", "outside the armour"),
        (signature + key, "is a PGP PUBLIC KEY BLOCK"),
        (b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n", "armour is empty"),
        (binary[:-1], "longer than its file"),
        (binary + b"\n", "no OpenPGP packet"),
        (binary + people.gpg.export("ed25519@x"), "type 6"),
        (b"\x8b" + binary[2:], "no length"),
        (b"\xc2\xe1" + binary[2:], "in parts"),
        (b"\x8a\0\0", "ends in its header"),
        (b"\xc2", "cut off"),
        (b"\0", "no OpenPGP packet"),
        (packet(10, b"PGP"), "no signature"),
        (block * 65, "more than 64 blocks"),
        (b"".join(packet(10, b"PGP") for _ in range(MOST_SIGNATURES + 1)), "more than 64 packets"),
        (bytes(1 << 18), "bytes"),
    ):
        reading = barred(people, bad)
        assert (reading.rule, type(reading)) == ("ATT-OPENPGP", Malformed)
        assert why in reading.text


@refuses("ATT-SIGNATURE")
def test_a_number_that_is_too_great_for_the_key_fits_no_key(people: People) -> None:
    issuer = area(CREATED, subpacket(33, b"\x04" + people.hand.fingerprint))
    body = people.hand.sign(CONTENT, hashed=issuer, algorithm=22)
    great = mpi(b"\x01" + bytes(32))
    reading = barred(people, packet(2, body[: body.index(issuer) + len(issuer) + 4] + great * 2))
    assert (reading.rule, reading.builder) == ("ATT-SIGNATURE", "hand")
    assert "too great" in reading.text
