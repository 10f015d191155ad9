"""The cases of the formats: names, checksum lines, envelopes, statements, hostile files."""

from __future__ import annotations

import unicodedata

from quorum.casebook import (
    DIGEST,
    TRIO,
    Build,
    Built,
    case,
    envelope,
    signed_sums,
    with_third,
)
from quorum.release import COMMIT, OTHER, STAMP, Release, checksums, pair, sha256, statement
from quorum.toml_text import Table
from quorum.tool_keys import MinisignKey, SshKey

from ceremony.types import MediaFile


@case("12", "REFUSE", 2, "QRM-CLAIM")
def a_claim_about_itself_contradicts_enrolment(release: Release) -> Built:
    content = checksums(DIGEST, "anchor.efi", {"git_commit": COMMIT, "isolation": "tee-vm"})
    return with_third(release, *signed_sums(release, content))


@case("12b", "ACCEPT", 3)
def a_claim_about_itself_that_fits(release: Release) -> Built:
    payload = statement(
        DIGEST, "anchor.efi", {"git_commit": COMMIT}, internal={"isolation": "docker"}
    )
    return with_third(release, envelope(release, payload))


@case("12c", "REFUSE", 2, "QRM-CLAIM")
def a_claim_to_be_another_builder(release: Release) -> Built:
    content = checksums(DIGEST, "anchor.efi", {"git_commit": COMMIT, "builder": "bob"})
    return with_third(release, *signed_sums(release, content))


@case("12d", "ACCEPT", 3)
def a_claim_to_be_the_builder_that_it_is(release: Release) -> Built:
    content = checksums(DIGEST, "anchor.efi", {"git_commit": COMMIT, "builder": "dan"})
    return with_third(release, *signed_sums(release, content))


@case("27", "REFUSE", 2, "ATT-TWICE")
def a_name_twice_with_different_hashes(release: Release) -> Built:
    content = checksums(DIGEST, "anchor.efi", {}) + checksums(sha256(OTHER), "anchor.efi", {})
    return with_third(release, *signed_sums(release, content))


@case("28", "REFUSE", 2, "ATT-TWICE")
def a_name_twice_with_the_same_hash(release: Release) -> Built:
    return with_third(release, *signed_sums(release, checksums(DIGEST, "anchor.efi", {}) * 2))


def _near(name: str) -> Build:
    def an_artifact_name_that_is_only_near(release: Release) -> Built:
        content = checksums(DIGEST, name, {"git_commit": COMMIT})
        names: Table = {"names": ["anchor.efi", "\u00e4nchor.efi"]}
        return with_third(release, *signed_sums(release, content), artifact=names)

    return an_artifact_name_that_is_only_near


for letter, near in zip(
    "abcdef",
    (
        *("./anchor.efi", "dir/anchor.efi", "anchor.efi ", "ANCHOR.efi", "\u0430nchor.efi"),
        unicodedata.normalize("NFD", "\u00e4nchor.efi"),
    ),
    strict=True,
):
    case(f"29{letter}", "REFUSE", 2, "QRM-NEAR-NAME")(_near(near))


def _bad(content: bytes) -> Build:
    def a_checksum_file_that_is_not_plain(release: Release) -> Built:
        return with_third(release, *signed_sums(release, content))

    return a_checksum_file_that_is_not_plain


for number, content in (
    ("30", f"\\{DIGEST}  anchor\\n.efi\n".encode()),
    ("31a", f"{DIGEST}  anchor.efi\r\n".encode()),
    ("31b", f"\ufeff{DIGEST}  anchor.efi\n".encode()),
    ("31c", f"{DIGEST}  anchor.efi\0\n".encode()),
    ("31d", f"{DIGEST}  {'x' * 5000}\n".encode()),
    ("31e", f"{DIGEST.upper()}  anchor.efi\n".encode()),
    ("31f", f"{DIGEST[1:]}  anchor.efi\n".encode()),
    ("31g", f"{DIGEST}  anchor.efi".encode()),
    ("31h", b"\xff\xfe\n"),
    ("31i", f"{DIGEST}  anchor.efi\n\n".encode()),
):
    case(number, "REFUSE", 2, "ATT-SUMS")(_bad(content))


def _written(line: str) -> Build:
    def another_way_to_write_a_checksum(release: Release) -> Built:
        content = f"# built twice\n# git_commit {COMMIT}\n{line}\n".encode()
        return with_third(release, *signed_sums(release, content))

    return another_way_to_write_a_checksum


for number, written in (
    ("32a", f"SHA256 (anchor.efi) = {DIGEST}"),
    ("32b", f"{DIGEST} anchor.efi"),
    ("32c", f"{DIGEST} *anchor.efi"),
):
    case(number, "ACCEPT", 3)(_written(written))


@case("33", "REFUSE", 2, "QRM-NAME")
def a_longer_name_is_another_name(release: Release) -> Built:
    content = checksums(DIGEST, "anchor.efi.sig", {"git_commit": COMMIT})
    return with_third(release, *signed_sums(release, content))


@case("49", "REFUSE", 2, "ATT-NAMESPACE")
def a_signature_for_another_namespace(release: Release) -> Built:
    content = checksums(DIGEST, "anchor.efi", {"git_commit": COMMIT})
    return with_third(release, *signed_sums(release, content, "file"))


@case("51", "REFUSE", 2, "ATT-SIGNATURE")
def a_trusted_comment_that_was_changed(release: Release) -> Built:
    sums, signature = release.attest("bob")
    changed = MediaFile(signature.path, signature.data.replace(COMMIT.encode(), b"e" * 40))
    return release.policy(), (*release.all("ann", "cat"), sums, changed)


@case("53", "ACCEPT", 3)
def a_legacy_minisign_signature(release: Release) -> Built:
    key = release.keys["bob"]
    assert isinstance(key, MinisignKey)
    content = checksums(DIGEST, "anchor.efi", {})
    comment = f"timestamp:{STAMP}\tgithub.com/acme/anchor/commit/{COMMIT}"
    files = pair("x.sha256", content, key.sign(content, comment, "-l"), ".minisig")
    return release.policy(), (*release.all("ann", "cat"), *files)


@case("77", "ACCEPT", 3, "ATT-FORMAT")
def a_thousand_files_of_garbage(release: Release) -> Built:
    begins = (b"-----BEGIN SSH SIGNATURE-----\n", b'{"payloadType": ', b"untrusted comment: ", b"")
    garbage = (
        MediaFile(f"deep/{'d/' * (n % 50)}{n}.sig", begins[n % 4] + bytes([n % 251]) * 99)
        for n in range(1000)
    )
    return release.policy(), (*release.all(*TRIO), *garbage)


@case("78", "REFUSE", 2, "QRM-NAME")
def file_names_that_attack_a_terminal(release: Release) -> Built:
    names = ("../../x", "-rf", "\x1b[2J\x1b]0;owned\x07", "a\nb")
    key = release.keys["dan"]
    assert isinstance(key, SshKey)
    content = checksums(DIGEST, "../../x", {"git_commit": COMMIT})
    signature = key.sign(content)
    files = (file for name in names for file in pair(name, content, signature))
    return with_third(release, *files)


@case("alone", "REFUSE", 2, "ATT-ALONE")
def a_signature_without_its_file(release: Release) -> Built:
    return with_third(release, release.attest("dan")[1])


@case("unsigned", "REFUSE", 2, "ATT-UNSIGNED")
def a_checksum_file_without_signature(release: Release) -> Built:
    return with_third(release, release.attest("dan")[0])


@case("tampered", "REFUSE", 2, "ATT-SIGNATURE")
def a_checksum_file_changed_after_signing(release: Release) -> Built:
    sums, signature = release.attest("dan")
    changed = MediaFile(sums.path, sums.data.replace(b"anchor", b"Anchor"))
    return with_third(release, changed, signature)


@case("weak-rsa", "REFUSE", 2, "QRM-ALGORITHM")
def an_rsa_key_that_is_too_short_for_the_policy(release: Release) -> Built:
    strict: Table = {"sign": ["ed25519", "ecdsa-p256-sha256", "rsa>=4096-sha256"]}
    return with_third(release, *release.attest("dan"), algorithms=strict)


@case("pins", "REFUSE", 2, "ATT-PIN")
def one_pin_with_two_values(release: Release) -> Built:
    content = checksums(DIGEST, "anchor.efi", {"git_commit": COMMIT})
    content += b"# git_commit " + b"d" * 40 + b"\n"
    return with_third(release, *signed_sums(release, content))


@case("sshsig", "REFUSE", 2, "ATT-SSHSIG")
def an_sshsig_that_is_cut_short(release: Release) -> Built:
    sums, signature = release.attest("dan")
    return with_third(release, sums, MediaFile(signature.path, signature.data[:-40]))


@case("minisign", "REFUSE", 2, "ATT-MINISIGN")
def a_minisign_signature_with_a_fifth_line(release: Release) -> Built:
    sums, signature = release.attest("bob")
    longer = MediaFile(signature.path, signature.data + b"more\n")
    return release.policy(), (*release.all("ann", "cat"), sums, longer)
