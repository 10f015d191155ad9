"""Any bytes are read or refused; a mutated signature or key never stands for its builder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attest.gpg_home import Gpg, HandMade, packet
from attest.openpgp_people import CONTENT, KINDS, People, readings
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from quorum.refusal import rule_of
from quorum.release import Release

from ceremony.attest.openpgp_file import read_detached, read_signature_file
from ceremony.attest.openpgp_key import parse_openpgp_key, read_openpgp_key
from ceremony.attest.openpgp_signature import read_signature
from ceremony.attest.record import Attestation
from ceremony.errors import Refused

# What stands in a signature packet and no signature covers: the unhashed subpackets, which
# only give hints. The tests below change the rest.
MUTATIONS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6), st.integers(0, 6)),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    release = Release.make(tmp_path_factory.mktemp("release"))
    with Gpg.made() as gpg:
        yield People.made(gpg, release)


@pytest.fixture(scope="module")
def signatures(people: People) -> dict[str, bytes]:
    made = {kind: people.sign(kind, "--no-armor", "--digest-algo", "SHA512") for kind in KINDS}
    return {**made, "hand": packet(2, people.hand.sign(CONTENT))}


@pytest.fixture(scope="module")
def armoured(people: People) -> bytes:
    return people.sign("ed25519")


def mutated(data: bytes, mutations: list[tuple[float, bytes, int]]) -> bytes:
    for where, noise, cut in mutations:
        at = int(where * len(data))
        data = data[:at] + noise + data[at + cut :]
    return data


def essence(data: bytes) -> set[tuple[object, ...]]:
    """Return what a signature file says and proves, without its hints."""
    found: set[tuple[object, ...]] = set()
    for body in read_signature_file(data):
        try:
            signature = read_detached(body)
        except Refused:
            continue
        found.add((signature.signed, signature.start, signature.values))
    return found


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*KINDS, "hand"]), MUTATIONS)
def test_a_mutated_signature_never_verifies(
    people: People,
    signatures: dict[str, bytes],
    kind: str,
    mutations: list[tuple[float, bytes, int]],
) -> None:
    data = mutated(signatures[kind], mutations)
    for reading in readings(people, data, CONTENT):
        if isinstance(reading, Attestation):
            assert reading.builder == kind
            assert essence(signatures[kind]) <= essence(data)


@settings(max_examples=300, deadline=None)
@given(MUTATIONS)
def test_mutated_armour_never_says_more_than_it_did(
    people: People, armoured: bytes, mutations: list[tuple[float, bytes, int]]
) -> None:
    text = mutated(armoured, mutations)
    for reading in readings(people, text, CONTENT):
        if isinstance(reading, Attestation):
            assert reading.builder == "ed25519"
            assert essence(armoured) <= essence(text)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*KINDS, "subkeyed", "hand"]), MUTATIONS)
def test_a_mutated_key_is_refused_or_proves_what_it_holds(
    people: People, kind: str, mutations: list[tuple[float, bytes, int]]
) -> None:
    original = people.key(kind)
    data = mutated(people.exported[kind], mutations)
    if rule := rule_of(read_openpgp_key, data):
        assert rule.startswith(("ATT-OPENPGP", "ATT-KEY"))
        return
    key = read_openpgp_key(data)
    # The primary is what was pasted; everything else is proved by it, so it is the original's.
    if key.keys[0] == original.keys[0] and key.fingerprint == original.fingerprint:
        assert set(key.keys) <= set(original.keys)
        assert set(key.user_ids) <= set(original.user_ids)
    else:
        assert key.user_ids == ()
        assert len(key.keys) == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    armoured = b"-----BEGIN PGP SIGNATURE-----\n\n" + noise
    for data in (noise, packet(2, noise), packet(2, b"\x04\0\x1b\x08" + noise), armoured):
        rule = rule_of(lambda file: [*map(read_detached, read_signature_file(file))], data)
        assert rule[:11] in ("", "ATT-OPENPGP")
    for data in (packet(6, noise), HAND.key + packet(14, noise) + packet(2, noise)):
        rule = rule_of(read_openpgp_key, data)
        assert not rule or rule.startswith(("ATT-OPENPGP", "ATT-KEY"))


HAND = HandMade(Ed25519PrivateKey.generate())


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"
    for each in (text, begin + text):
        with pytest.raises(Refused):
            parse_openpgp_key(each)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=80))
def test_any_field_of_a_signature_fits_no_key(
    people: People, kind: int, algorithm: int, hash_id: int, values: bytes
) -> None:
    made = people.hand.sign(CONTENT, kind=kind, algorithm=algorithm, hash_id=hash_id)
    body = made[:-64] + values
    try:
        signature = read_signature(body, ())
    except Refused:
        return
    for reading in readings(people, packet(2, body), CONTENT):
        assert not isinstance(reading, Attestation)
    assert signature.kind == kind
