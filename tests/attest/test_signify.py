"""signify keys and signatures agree with the real signify; what else begins alike is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.enrolling import builder, enrolled
from quorum.refusal import rule_of
from quorum.release import IMAGE, Release, checksums, sha256
from quorum.signify_key import SignifyKey
from quorum.tool_keys import MinisignKey

from ceremony.attest.minisign import looks_like_minisign
from ceremony.attest.record import Attestation, Malformed, Unverified
from ceremony.attest.signified import read_signify_pair
from ceremony.attest.signify import (
    looks_like_signify,
    parse_signify_key,
    read_signify,
    verify_signify,
)
from ceremony.errors import Refused
from ceremony.keys import from_ed25519, parse_minisign
from ceremony.policy import Policy
from ceremony.policy_people import KeyWrapping
from ceremony.types import MediaFile

SUMS = checksums(sha256(IMAGE), "anchor.efi", {"git_commit": "c" * 40})


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SignifyKey:
    return SignifyKey.make(tmp_path_factory.mktemp("signify") / "bob")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module", params=[KeyWrapping.SIGNIFY, KeyWrapping.MINISIGN])
def policy(key: SignifyKey, release: Release, request: pytest.FixtureRequest) -> Policy:
    found = parse_signify_key(key.text)
    bob = builder("bob", found.key, request.param, found.key_id, ("signify",))
    return enrolled(release, bob)


@accepts("ATT-SIGNIFY", "ATT-SIGNATURE")
@refuses("ATT-SIGNATURE")
def test_what_signify_signs_verifies(key: SignifyKey) -> None:
    public = parse_signify_key(key.text)
    data = key.sign(SUMS)
    signature = read_signify(data)
    assert (signature.key_id, signature.message) == (public.key_id, b"")
    assert signature.comment.startswith("verify with bob")
    verify_signify(signature, SUMS, public.key)
    with pytest.raises(Refused, match="ATT-SIGNATURE"):
        verify_signify(signature, SUMS + b"\n", public.key)
    assert looks_like_signify("SHA256SUMS.sig", data)
    assert looks_like_signify("SHA256SUMS.bob", data)
    assert not looks_like_minisign("SHA256SUMS.sig", data)


@accepts("ATT-KEY")
def test_a_key_file_and_its_second_line_are_one_key(key: SignifyKey, tmp_path: Path) -> None:
    whole = parse_signify_key(key.text)
    line = parse_signify_key(key.text.split("\n")[1])
    assert whole.keys == line.keys == (whole.key,)
    assert whole.key_id == line.key_id
    assert whole.comment == "bob public key"
    assert not looks_like_signify("bob.pub", key.text.encode())
    # minisign's public key is built alike.
    mini = MinisignKey.make(tmp_path / "mini")
    public, key_id = parse_minisign(mini.line)
    assert parse_signify_key(mini.line).key == public
    assert parse_signify_key(mini.line).key_id == key_id.hex()


RAW = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
KEY = f"untrusted comment: k\n{base64.b64encode(b'Ed' + bytes(8) + RAW).decode()}\n"


@refuses("ATT-KEY")
@pytest.mark.parametrize(
    "text",
    [
        *("", KEY + KEY, KEY.replace("untrusted", "trusted"), KEY.replace("\n", "\r\n")),
        *(KEY.replace("\nRW", "\nRU"), KEY[:-1] + "=\n", KEY[:-5] + "\n", KEY[1:]),
        KEY.replace(": k", ": " + "k" * 2000),
        KEY.replace(": k", ": \u200b"),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    assert parse_signify_key(KEY).key_id == "00" * 8
    with pytest.raises(Refused, match="ATT-KEY"):
        parse_signify_key(text)


@accepts("ATT-SIGNIFY")
def test_a_signature_beside_the_checksums_is_an_attestation(
    key: SignifyKey, policy: Policy
) -> None:
    file = MediaFile("x/SHA256SUMS.sig", key.sign(SUMS))
    decoy = MediaFile("x/other", b"something else\n")
    reading = read_signify_pair(file, (decoy, MediaFile("x/SHA256SUMS", SUMS)), policy)
    assert isinstance(reading, Attestation)
    assert (reading.builder, reading.format, reading.file) == ("bob", "signify", file.path)
    assert reading.claims.artifacts[0].digest("sha256") == sha256(IMAGE)
    assert reading.claims.pins == (("git_commit", "c" * 40),)
    assert reading.claims.time is None


@accepts("ATT-SIGNIFY")
@refuses("ATT-SIGNATURE")
def test_embedded_checksums_need_no_file_beside_them(key: SignifyKey, policy: Policy) -> None:
    data = key.sign(SUMS, "-e")
    assert looks_like_signify("SHA256.sig", data)
    reading = read_signify_pair(MediaFile("SHA256.sig", data), (), policy)
    assert isinstance(reading, Attestation)
    changed = data.replace(b"anchor", b"anklet")
    reading = read_signify_pair(MediaFile("SHA256.sig", changed), (), policy)
    assert isinstance(reading, Unverified)
    assert reading.rule == "ATT-SIGNATURE"
    assert reading.claims is not None, "what it would say is reported"


@refuses("ATT-SIGNATURE", "ATT-ALONE", "QRM-ENROLLED")
def test_what_nobody_enrolled_signed_says_why(
    key: SignifyKey, policy: Policy, tmp_path: Path
) -> None:
    stranger = SignifyKey.make(tmp_path / "eve")
    sums = MediaFile("SHA256SUMS", SUMS)
    for data, signed, rule, who in (
        (key.sign(SUMS + b"# x\n"), (sums,), "ATT-SIGNATURE", "bob"),
        (key.sign(SUMS), (), "ATT-ALONE", "bob"),
        (stranger.sign(SUMS), (sums,), "QRM-ENROLLED", ""),
        (stranger.sign(SUMS), (), "QRM-ENROLLED", ""),
    ):
        reading = read_signify_pair(MediaFile("SHA256SUMS.sig", data), signed, policy)
        assert isinstance(reading, Unverified)
        assert (reading.rule, reading.builder) == (rule, who)
        assert (reading.claims is not None) == bool(signed)


def test_what_cannot_be_read_says_nothing(key: SignifyKey, policy: Policy) -> None:
    signed = (MediaFile("SHA256SUMS", b"no checksums\n"),)
    reading = read_signify_pair(MediaFile("SHA256SUMS.sig", key.sign(SUMS)), signed, policy)
    assert isinstance(reading, Unverified)
    assert reading.claims is None


@refuses("ATT-SIGNIFY", "ATT-SUMS")
def test_malformed_files_name_their_builder_only_where_the_signature_was_good(
    key: SignifyKey, policy: Policy
) -> None:
    garbled = read_signify_pair(MediaFile("x.sig", b"untrusted comment: x\n"), (), policy)
    assert isinstance(garbled, Malformed)
    assert (garbled.rule, garbled.builder) == ("ATT-SIGNIFY", "")
    message = b"no checksums\n"
    signed = (MediaFile("x", message),)
    reading = read_signify_pair(MediaFile("x.sig", key.sign(message)), signed, policy)
    assert isinstance(reading, Malformed)
    assert (reading.rule, reading.builder) == ("ATT-SUMS", "bob")


FIELDS = base64.b64encode(b"Ed" + bytes(72)).decode()
GOOD = f"untrusted comment: a\n{FIELDS}\n"


@refuses("ATT-SIGNIFY")
@pytest.mark.parametrize(
    "text",
    [
        *("", GOOD[:-1], GOOD.replace("\n", "\r\n"), GOOD[1:], "\n" + GOOD),
        *(GOOD.replace("=\n", "\n"), GOOD.replace("A=", "B="), GOOD.replace(": a", ": \x1b[0m")),
        *(GOOD.replace(": a", ": " + "a" * 1025), GOOD + "x" * (1 << 20)),
        GOOD.replace(FIELDS, base64.b64encode(b"ED" + bytes(72)).decode()),
        GOOD.replace(FIELDS, base64.b64encode(b"Ed" + bytes(71)).decode()),
        GOOD.replace(FIELDS, base64.b64encode(b"Ed" + bytes(73)).decode()),
        GOOD.replace(FIELDS, FIELDS[:-2] + "\u00e9="),
    ],
)
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="ATT-SIGNIFY"):
        read_signify(text.encode())


def test_a_minisign_signature_is_left_to_minisign() -> None:
    mini = f"untrusted comment: a\n{FIELDS}\ntrusted comment: b\n{FIELDS}\n".encode()
    assert not looks_like_signify("x.sig", mini)
    assert looks_like_minisign("x.sig", mini)
    assert not looks_like_signify("x.sig", b"-----BEGIN SSH SIGNATURE-----\n")


def test_another_key_with_the_same_id_is_tried_too(key: SignifyKey, release: Release) -> None:
    other = from_ed25519(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    found = parse_signify_key(key.text)
    policy = enrolled(
        release,
        builder("ann", other, KeyWrapping.SIGNIFY, found.key_id, ("signify",)),
        builder("bob", found.key, KeyWrapping.SIGNIFY, found.key_id, ("signify",)),
    )
    file, sums = MediaFile("x.sig", key.sign(SUMS)), MediaFile("x", SUMS)
    reading = read_signify_pair(file, (sums,), policy)
    assert isinstance(reading, Attestation)
    assert reading.builder == "bob"


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 60))
def test_any_bytes_parse_or_are_refused(noise: bytes, at: int, cut: int) -> None:
    data = GOOD.encode()
    data = data[:at] + noise + data[at + cut :]
    looks_like_signify("x", data)
    assert rule_of(read_signify, data) in ("", "ATT-SIGNIFY")
