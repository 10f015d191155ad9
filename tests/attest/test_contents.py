"""Many signatures beside few large files: each file is hashed once and read once."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from marks import accepts, refuses
from quorum.release import Release
from quorum.tool_keys import MinisignKey

from ceremony.attest import contents
from ceremony.attest.detached import MOST_FOR_STRANGERS
from ceremony.attest.gather import MOST_CANDIDATES, gather, read
from ceremony.attest.minisign import write_minisign
from ceremony.attest.record import Attestation, Unverified
from ceremony.attest.ssh_wire import string
from ceremony.attest.sshsig import armor, signed_data
from ceremony.errors import Refused
from ceremony.types import MediaFile

SIGNATURES = 60
LINE = hashlib.sha256(b"").hexdigest() + "  some.efi\n"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def crowd() -> tuple[MediaFile, ...]:
    """Return as many large files of one name, on as many media, as a signature is tried against."""
    return tuple(
        MediaFile("x", (LINE * (1 << 10) + f"# copy {number}\n").encode())
        for number in range(MOST_CANDIDATES)
    )


def sshsig(message: bytes) -> bytes:
    key = Ed25519PrivateKey.generate()
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    blob = string(b"ssh-ed25519") + string(key.public_key().public_bytes_raw())
    assert line.startswith(b"ssh-ed25519 ")
    raw = key.sign(signed_data("uki-attestation", message))
    return armor(blob, "uki-attestation", string(b"ssh-ed25519") + string(raw), "sha512")


def test_many_signatures_beside_large_files_hash_each_file_once(release: Release) -> None:
    files = crowd()
    signatures = tuple(
        MediaFile(f"x.{number}.sig", sshsig(b"%d" % number)) for number in range(SIGNATURES)
    )
    contents._digest.cache_clear()
    contents._claims.cache_clear()
    policy = release.policy()
    for evidence in gather((*files, *signatures)):
        (reading,) = read(evidence, policy)
        assert isinstance(reading, Unverified)
        assert reading.rule == "ATT-SIGNATURE"
    # Nobody enrolled made them, so that not every file is tried.
    assert contents._digest.cache_info().misses == MOST_FOR_STRANGERS < len(files)
    assert contents._digest.cache_info().hits >= MOST_FOR_STRANGERS * (SIGNATURES - 1)
    assert contents._claims.cache_info().misses == 1


def test_small_contents_are_not_kept() -> None:
    before = contents._digest.cache_info().currsize
    data = LINE.encode()
    assert contents.digest(data, "sha512") == hashlib.sha512(data).digest()
    assert contents._digest.cache_info().currsize == before


@accepts("ATT-SUMS")
@refuses("ATT-SUMS")
def test_what_is_signed_unhashed_is_tried_up_to_a_size() -> None:
    small = tuple(MediaFile(f"{n}", bytes(contents.MOST_UNHASHED)) for n in range(3))
    assert contents.tried(small, hashed=False) == contents.tried(small, hashed=True) == small
    assert contents.tried((), hashed=False) == ()
    large = (MediaFile("a", bytes(contents.MOST_UNHASHED + 1)),)
    assert contents.tried(large, hashed=True) == large
    assert contents.tried((*large, *small), hashed=False) == small
    with pytest.raises(Refused, match="signed unhashed"):
        contents.tried(large, hashed=False)
    huge = (MediaFile("a", bytes(contents.MOST_SIGNED + 1)), *small)
    assert contents.tried(huge, hashed=True) == small
    with pytest.raises(Refused, match="has more than"):
        contents.tried(huge[:1], hashed=True)


@pytest.mark.parametrize("size", [contents.MOST_UNHASHED - 1, contents.MOST_UNHASHED + 1])
def test_a_strangers_file_of_a_nearer_name_does_not_crowd_out_what_was_signed(
    release: Release, size: int
) -> None:
    """It did: all the files that an unhashed signature is tried against had one cap together."""
    bob = release.keys["bob"]
    assert isinstance(bob, MinisignKey)
    content = LINE.encode()
    files = (
        MediaFile("x", content),
        MediaFile("x.bob.minisig", bob.sign(content, "by bob", "-l")),
        *(MediaFile(f"x.bob{ending}", bytes(size)) for ending in ("", ".sig", ".txt")),
    )
    told = [one for evidence in gather(files) for one in read(evidence, release.policy())]
    assert [one.builder for one in told if isinstance(one, Attestation)] == ["bob"]


def test_the_rules_name_reaches_the_reading(release: Release) -> None:
    policy = release.policy()
    (key_id,) = list(policy.by_minisign_id)[:1]
    content = LINE.encode() * (1 << 10)
    data = write_minisign(
        Ed25519PrivateKey.generate(), bytes.fromhex(key_id), content, "timestamp:1"
    )
    lines = data.split(b"\n")
    plain = b"\n".join((lines[0], b"RW" + lines[1][2:], *lines[2:]))  # `Ed` in the place of `ED`
    (evidence,) = gather((MediaFile("x", content), MediaFile("x.minisig", plain)))
    (reading,) = read(evidence, policy)
    assert isinstance(reading, Unverified)
    assert (reading.rule, "signed unhashed" in reading.text) == ("ATT-SUMS", True)
