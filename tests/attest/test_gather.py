"""Which files belong together: signatures and what they sign, by content and name stem."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from marks import accepts, refuses
from quorum.casebook import TRIO
from quorum.enrolling import builder, enrolled
from quorum.nar_bytes import archive
from quorum.release import (
    IMAGE,
    NOW,
    OTHER,
    Release,
    base64_text,
    checksums,
    facts,
    judged,
    pair,
    sha256,
)
from quorum.tool_keys import SshKey

from ceremony.attest.aids import Aids
from ceremony.attest.gather import MOST_CANDIDATES, Format, gather, read
from ceremony.attest.nar_media import read_nar_file
from ceremony.attest.narinfo import read_narinfo, to_base32
from ceremony.attest.record import Attestation, Malformed, Unverified
from ceremony.keys import from_ed25519
from ceremony.policy_people import KeyWrapping
from ceremony.quorum import judge
from ceremony.types import MediaFile

CONTENT = checksums(sha256(IMAGE), "anchor.efi", {})


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def ssh(release: Release, name: str = "ann") -> SshKey:
    key = release.keys[name]
    assert isinstance(key, SshKey)
    return key


def paths(files: tuple[MediaFile, ...]) -> list[tuple[str, Format, list[str]]]:
    return [(e.file.path, e.format, [file.path for file in e.signed]) for e in gather(files)]


@accepts("ATT-ALONE", "ATT-UNSIGNED", "ATT-FORMAT")
def test_a_signature_finds_its_file_by_its_stem(release: Release) -> None:
    signature = ssh(release).sign(CONTENT)
    for path, content in (
        ("SHA256SUMS.sig", "SHA256SUMS"),
        ("d/e/anchor.SHA256SUMS.sig", "d/e/anchor.SHA256SUMS"),
        ("SHA256SUMS.ann.sshsig", "SHA256SUMS"),
        ("SHA256SUMS.asc", "SHA256SUMS"),
        (".SHA256SUMS.sig", ".SHA256SUMS"),
    ):
        files = (MediaFile(content, CONTENT), MediaFile(path, signature))
        assert paths(files) == [(path, Format.SSHSIG, [content])]
        (reading,) = read(gather(files)[0], release.policy())
        assert isinstance(reading, Attestation)
        assert reading.builder == "ann"


@refuses("ATT-ALONE", "ATT-UNSIGNED", "ATT-FORMAT")
def test_what_has_no_partner_is_listed_by_what_it_is(release: Release) -> None:
    files = (
        MediaFile("a/SHA256SUMS", CONTENT),
        MediaFile("b/SHA256SUMS.sig", ssh(release).sign(CONTENT)),
        MediaFile("key.pub", b"untrusted comment: minisign public key\nRWQ\n"),
        MediaFile("readme", b"{}"),
    )
    assert paths(files) == [
        ("a/SHA256SUMS", Format.CHECKSUMS, []),
        ("b/SHA256SUMS.sig", Format.SSHSIG, []),
        ("key.pub", Format.UNKNOWN, []),
        ("readme", Format.UNKNOWN, []),
    ]
    policy = release.policy()
    rules = [read(evidence, policy)[0] for evidence in gather(files)]
    assert [r.rule for r in rules if isinstance(r, Unverified)] == [
        "ATT-UNSIGNED",
        "ATT-ALONE",
        "ATT-FORMAT",
        "ATT-FORMAT",
    ]


@refuses("ATT-FORMAT")
@pytest.mark.parametrize("before", [b"\n", b"\xef\xbb\xbf", b"Hash: SHA256\n\n"])
def test_a_signature_with_something_before_it_is_not_told_to_be_unsigned_checksums(
    release: Release, before: bytes
) -> None:
    """ATT-UNSIGNED would have its builder sign the signature."""
    armour = before + b"-----BEGIN PGP SIGNATURE-----\n"
    files = (MediaFile("SHA256SUMS", CONTENT), MediaFile("SHA256SUMS.asc", armour))
    told = [read(evidence, release.policy())[0] for evidence in gather(files)]
    rules = [(reading.file, reading.rule) for reading in told if isinstance(reading, Unverified)]
    assert rules == [("SHA256SUMS", "ATT-UNSIGNED"), ("SHA256SUMS.asc", "ATT-FORMAT")]


def test_one_checksum_file_may_carry_several_signatures(release: Release) -> None:
    policy = release.policy(inputs={"must_agree": []}, quorum={"threshold": 2})
    files = (
        MediaFile("SHA256SUMS", CONTENT),
        MediaFile("SHA256SUMS.ann.sig", ssh(release).sign(CONTENT)),
        MediaFile("SHA256SUMS.dan.sig", ssh(release, "dan").sign(CONTENT)),
    )
    assert judged(policy, files).verdict == "ACCEPT"


def test_two_sticks_with_different_copies_are_both_tried(release: Release) -> None:
    other = checksums(sha256(OTHER), "anchor.efi", {})
    stale = MediaFile("SHA256SUMS", other)
    fresh = pair("SHA256SUMS", CONTENT, ssh(release).sign(CONTENT))
    for files in ((stale, *fresh), (*fresh, stale)):
        (evidence,) = gather(files)
        (reading,) = read(evidence, release.policy())
        assert isinstance(reading, Attestation)
        assert reading.claims.artifacts[0].digest("sha256") == sha256(IMAGE)


def test_a_signature_is_tried_against_a_bounded_number_of_files(release: Release) -> None:
    crowd = tuple(MediaFile("SHA256SUMS", b"%d" % n) for n in range(100))
    signature = MediaFile("SHA256SUMS.sig", ssh(release).sign(CONTENT))
    gathered = {evidence.format: evidence for evidence in gather((*crowd, signature))}
    assert len(gathered[Format.SSHSIG].signed) == MOST_CANDIDATES


def test_a_malformed_file_of_an_enrolled_builder_names_the_builder(release: Release) -> None:
    content = CONTENT * 2
    (evidence,) = gather(pair("SHA256SUMS", content, ssh(release).sign(content)))
    (reading,) = read(evidence, release.policy())
    assert isinstance(reading, Malformed)
    assert (reading.builder, reading.rule) == ("ann", "ATT-TWICE")
    verdict = judged(release.policy(), (*release.all(*TRIO), evidence.file, *evidence.signed))
    assert "ATT-TWICE" in [finding.rule for finding in verdict.findings]


def test_the_record_carries_the_raw_digest_and_format(release: Release) -> None:
    for name, kind in zip(TRIO, ("sshsig", "minisign", "dsse"), strict=True):
        files = release.attest(name)
        (evidence,) = gather(files)
        (reading,) = read(evidence, release.policy())
        assert isinstance(reading, Attestation)
        assert (reading.format, reading.builder) == (kind, name)
        assert reading.sha256 == sha256(files[-1].data)
        assert reading.file == files[-1].path


def test_a_copy_under_a_name_that_makes_it_nothing_does_not_hide_an_attestation(
    release: Release,
) -> None:
    """The name alone says what this narinfo is, and the other name comes first."""
    key = Ed25519PrivateKey.generate()
    public = from_ed25519(key.public_key().public_bytes_raw())
    policy = enrolled(release, builder("nix", public, KeyWrapping.NIX, "nix-1", ("narinfo",)))
    nar = archive({"anchor.efi": IMAGE})
    lines = (
        "URL: x.nar\n"
        f"StorePath: /nix/store/{'0' * 32}-uki\n"
        f"NarHash: sha256:{to_base32(hashlib.sha256(nar).digest())}\n"
        f"NarSize: {len(nar)}\n"
        "References: \n"
    )
    made = base64_text(key.sign(read_narinfo(lines.encode()).fingerprint))
    info = f"{lines}Sig: nix-1:{made}\n".encode()
    aids = Aids(archives=(read_nar_file("x.nar", (nar,), 1 << 20),))
    for name in ("a.txt", "b.narinfo"):  # before it and under the same name
        files = (MediaFile(name, info), MediaFile("b.narinfo", info))
        verdict = judge(policy, "anchor.efi", facts(), files, NOW, aids=aids)
        assert [row.file for row in verdict.dispositions if row.builder] == ["b.narinfo"], name
