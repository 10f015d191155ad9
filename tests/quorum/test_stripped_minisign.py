"""A legacy minisign signature that a stranger wrote anew as one of signify: its comment is gone."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from marks import accepts, refuses
from quorum.enrolling import builder, enrolled
from quorum.release import COMMIT, IMAGE, NOW, Release, checksums, facts, pair, sha256
from quorum.tool_keys import MinisignKey

from ceremony.attest.signify import parse_signify_key
from ceremony.policy_people import FORMATS, KeyWrapping
from ceremony.quorum import judge
from ceremony.types import MediaFile

OLD = f"timestamp:{int((NOW - timedelta(days=100)).timestamp())} file:SHA256SUMS"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@accepts("QRM-FORMAT")
@refuses("QRM-FORMAT", "QRM-STALE")
@pytest.mark.parametrize(
    ("wrapping", "formats", "stripped"),
    [
        (KeyWrapping.MINISIGN, FORMATS, ("not-counted", "QRM-FORMAT")),
        (KeyWrapping.MINISIGN, ("minisign",), ("not-counted", "QRM-FORMAT")),
        (KeyWrapping.MINISIGN, ("signify",), ("counted", "")),
        (KeyWrapping.SIGNIFY, FORMATS, ("counted", "")),
    ],
    ids=["minisign-any", "minisign-alone", "minisign-for-signify", "signify"],
)
def test_an_old_signature_is_not_made_fresh_by_taking_its_comment_off(
    wrapping: KeyWrapping, formats: tuple[str, ...], stripped: tuple[str, str], release: Release
) -> None:
    key, number = Ed25519PrivateKey.generate(), b"12345678"
    public = parse_signify_key(b64(b"Ed" + number + key.public_key().public_bytes_raw()))
    policy = enrolled(release, builder("bob", public.key, wrapping, public.key_id, formats))
    sums = checksums(sha256(IMAGE), "anchor.efi", {"git_commit": COMMIT})
    signature = key.sign(sums)
    fields = b64(b"Ed" + number + signature)
    whole = (
        f"untrusted comment: by bob\n{fields}\n"
        f"trusted comment: {OLD}\n{b64(key.sign(signature + OLD.encode()))}\n"
    ).encode()
    plain = f"untrusted comment: by bob\n{fields}\n".encode()

    def disposed(files: tuple[MediaFile, ...]) -> tuple[str, str]:
        (one,) = judge(policy, "anchor.efi", facts(), files, NOW).dispositions
        return one.disposition, one.rule

    if wrapping is KeyWrapping.MINISIGN and "signify" in formats and "minisign" in formats:
        assert disposed(pair("SHA256SUMS", sums, whole, ".minisig"))[1] == "QRM-STALE"
    assert disposed(pair("SHA256SUMS", sums, plain)) == stripped


@refuses("QRM-STALE")
@pytest.mark.parametrize(
    ("comment", "disposed"),
    [
        ("by bob", ("not-counted", "QRM-STALE")),
        (OLD, ("not-counted", "QRM-STALE")),
        (f"timestamp:{int(NOW.timestamp())}", ("counted", "")),
    ],
    ids=["says none", "says the same", "says a later one"],
)
def test_the_time_in_an_old_checksum_file_is_not_lost_by_a_comment_that_says_none(
    comment: str, disposed: tuple[str, str], release: Release
) -> None:
    """It was: such an attestation had no time, and no age."""
    old = int((NOW - timedelta(days=100)).timestamp())
    sums = checksums(sha256(IMAGE), "anchor.efi", {"git_commit": COMMIT, "timestamp": str(old)})
    bob = release.keys["bob"]
    assert isinstance(bob, MinisignKey)
    files = pair("SHA256SUMS", sums, bob.sign(sums, comment), ".minisig")
    (one,) = judge(release.policy(), "anchor.efi", facts(), files, NOW).dispositions
    assert (one.disposition, one.rule) == disposed
