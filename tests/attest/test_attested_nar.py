"""Signed narinfo files with their archives: whose word it is, and about which bytes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from marks import accepts, refuses
from quorum.enrolling import builder, enrolled
from quorum.nix_cache import NixStore, archives_of, narinfo_of, needs_nix
from quorum.release import IMAGE, NOW, OTHER, Release, sha256
from quorum.toml_text import toml

from ceremony.admission import Barred, Subject, Vote, admit
from ceremony.attest.aids import Aids
from ceremony.attest.attested_nar import read_nix
from ceremony.attest.gather import Format, gather, read
from ceremony.attest.nar_media import NarFacts
from ceremony.attest.narinfo import MOST_SIGNATURES
from ceremony.attest.nix_key import parse_nix_key
from ceremony.attest.record import Attestation, Malformed, Unverified
from ceremony.keys import from_ed25519
from ceremony.policy import Policy, load
from ceremony.policy_people import KeyWrapping
from ceremony.types import MediaFile

NAMES = ("ann-1", "bob-1", "eve-1")
SUBJECT = Subject(({"sha256": sha256(IMAGE)},), ("anchor.efi",))


@dataclass(frozen=True)
class Laboratory:
    """A store, three keys of which two are enrolled, and the policy that enrols them."""

    store: NixStore
    policy: Policy

    def copied(self, path: str, *keys: str, compression: str = "xz") -> tuple[MediaFile, ...]:
        if keys:
            self.store.sign(path, *keys)
        return self.store.copy(path, compression)

    def tree(self, name: str, files: dict[str, bytes], *keys: str) -> tuple[MediaFile, ...]:
        return self.copied(self.store.add_tree(name, files, {}), *keys)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    needs_nix()
    folder = tmp_path_factory.mktemp("lab")
    (folder / "nix").mkdir()
    store = NixStore(folder / "nix")
    keys = {name: parse_nix_key(store.key(name)) for name in NAMES}
    release = Release.make(folder)
    people = [
        builder(name[:3], keys[name].key, KeyWrapping.NIX, keys[name].key_id, ("narinfo",))
        for name in NAMES[:2]
    ]
    return Laboratory(store, enrolled(release, *people))


@accepts("ATT-NARINFO", "ATT-NIX-SIGNED", "ATT-NAR", "ATT-NAR-PACKED", "ATT-NAR-MISSING")
@pytest.mark.parametrize("compression", ["none", "xz"])
def test_a_sandboxed_build_signed_by_two_builders_is_two_votes(
    lab: Laboratory, compression: str
) -> None:
    path = lab.store.build("anchor.efi", IMAGE)
    files = lab.copied(path, "ann-1", "bob-1", compression=compression)
    readings = read_nix(narinfo_of(files), archives_of(files), lab.policy)
    assert {type(reading) for reading in readings} == {Attestation}
    votes = [admit(reading, lab.policy, SUBJECT, NOW) for reading in readings]
    assert {vote.builder for vote in votes if isinstance(vote, Vote)} == {"ann", "bob"}
    assert {vote.sha256 for vote in votes if isinstance(vote, Vote)} == {sha256(IMAGE)}
    attestation = readings[0]
    assert isinstance(attestation, Attestation)
    assert attestation.claims.pins == (("store_path", path),)
    assert attestation.sha256 == hashlib.sha256(narinfo_of(files).data).hexdigest()
    names = {artifact.name for artifact in attestation.claims.artifacts}
    assert names == {"anchor.efi", "result/anchor.efi"}


@accepts("ATT-NIX-SIGNED")
def test_a_content_addressed_path_with_an_enrolled_signature_counts(lab: Laboratory) -> None:
    files = lab.tree("ca", {"anchor.efi": IMAGE}, "ann-1")
    assert b"\nCA: fixed:r:sha256:" in narinfo_of(files).data
    (reading,) = read_nix(narinfo_of(files), archives_of(files), lab.policy)
    assert isinstance(reading, Attestation)
    assert reading.claims.pins == (), "such a path says nothing of inputs"
    assert isinstance(admit(reading, lab.policy, SUBJECT, NOW), Vote)


@refuses("ATT-NIX-SIGNED")
def test_a_content_addressed_path_without_an_enrolled_signature_counts_for_nobody(
    lab: Laboratory,
) -> None:
    for name, keys in (("nobody", ()), ("stranger", ("eve-1",))):
        files = lab.tree(name, {"anchor.efi": IMAGE}, *keys)
        (reading,) = read_nix(narinfo_of(files), archives_of(files), lab.policy)
        assert isinstance(reading, Unverified)
        assert (reading.rule, reading.builder) == ("ATT-NIX-SIGNED", "")
        assert "content-addressed" in reading.text


def test_a_path_without_ca_and_enrolled_signature_counts_for_nobody(lab: Laboratory) -> None:
    path = lab.store.build("anchor.efi", IMAGE + b" unsigned")
    files = lab.copied(path)
    (reading,) = read_nix(narinfo_of(files), archives_of(files), lab.policy)
    assert isinstance(reading, Unverified)
    assert reading.text == "no enrolled key signed it"


def test_an_archive_that_holds_another_image_is_a_vote_against_it(lab: Laboratory) -> None:
    files = lab.tree("other", {"anchor.efi": OTHER}, "ann-1")
    (reading,) = read_nix(narinfo_of(files), archives_of(files), lab.policy)
    vote = admit(reading, lab.policy, SUBJECT, NOW)
    assert isinstance(vote, Vote)
    assert vote.sha256 == sha256(OTHER)


def test_one_file_is_named_by_its_path_in_the_store(lab: Laboratory) -> None:
    files = lab.copied(lab.store.add_file("anchor.efi", IMAGE), "bob-1")
    (reading,) = read_nix(narinfo_of(files), archives_of(files), lab.policy)
    assert isinstance(admit(reading, lab.policy, SUBJECT, NOW), Vote)
    files = lab.copied(lab.store.add_file("other.efi", IMAGE), "bob-1")
    (reading,) = read_nix(narinfo_of(files), archives_of(files), lab.policy)
    barred = admit(reading, lab.policy, SUBJECT, NOW)
    assert isinstance(barred, Barred)
    assert barred.rule == "QRM-NAME"


@refuses("ATT-NAR")
def test_a_link_is_not_the_file(lab: Laboratory) -> None:
    path = lab.store.add_tree("linked", {"real": IMAGE}, {"anchor.efi": "real"})
    files = lab.copied(path, "ann-1")
    (reading,) = read_nix(narinfo_of(files), archives_of(files), lab.policy)
    assert isinstance(reading, Malformed)
    assert (reading.rule, reading.builder) == ("ATT-NAR", "ann")
    assert "is a link" in reading.text


@refuses("ATT-NAR", "ATT-NAR-PACKED", "ATT-NAR-MISSING")
def test_an_archive_that_is_not_the_signed_one_is_nobodys_word(lab: Laboratory) -> None:
    files = lab.tree("swapped", {"anchor.efi": IMAGE}, "ann-1")
    (right,) = archives_of(files)
    (swapped,) = archives_of(lab.tree("decoy", {"anchor.efi": OTHER}))
    (packed,) = archives_of(lab.copied(lab.store.add_file("z.efi", IMAGE), compression="zstd"))
    for archives, rule, why in (
        ((), "ATT-NAR-MISSING", "is not here"),
        ((swapped,), "ATT-NAR-MISSING", "is not here"),
        ((replace(swapped, path=right.path),), "ATT-NAR", "not the archive that was signed"),
        ((replace(packed, path=right.path),), "ATT-NAR-PACKED", "zstd"),
    ):
        (reading,) = read_nix(narinfo_of(files), archives, lab.policy)
        assert isinstance(reading, Unverified)
        assert (reading.rule, reading.builder) == (rule, "ann")
        assert why in reading.text


def test_the_archive_is_found_by_its_hash_wherever_it_lies(lab: Laboratory) -> None:
    files = lab.tree("moved", {"anchor.efi": IMAGE}, "ann-1")
    (facts,) = archives_of(files)
    archives = (NarFacts("elsewhere.nar", facts.nar, None),)
    (reading,) = read_nix(narinfo_of(files), archives, lab.policy)
    assert isinstance(reading, Attestation)


@refuses("ATT-SIGNATURE")
def test_a_changed_narinfo_is_not_what_was_signed(lab: Laboratory) -> None:
    files = lab.tree("changed", {"anchor.efi": IMAGE}, "ann-1")
    info = narinfo_of(files)
    data = info.data.replace(b"References: ", b"References: " + b"0" * 32 + b"-x")
    (reading,) = read_nix(MediaFile(info.path, data), archives_of(files), lab.policy)
    assert isinstance(reading, Unverified)
    assert (reading.rule, reading.builder) == ("ATT-SIGNATURE", "ann")


def test_a_wrong_name_of_the_right_key_is_a_wrong_hint(lab: Laboratory) -> None:
    files = lab.tree("hinted", {"anchor.efi": IMAGE}, "ann-1")
    info = narinfo_of(files)
    for name in (b"bob-1", b"somebody"):
        data = info.data.replace(b"Sig: ann-1:", b"Sig: " + name + b":")
        (reading,) = read_nix(MediaFile(info.path, data), archives_of(files), lab.policy)
        assert isinstance(reading, Attestation)
        assert reading.builder == "ann"


def test_a_policy_file_enrols_a_nix_key_and_the_cache_is_found(
    lab: Laboratory, tmp_path: Path
) -> None:
    public = lab.store.key("toml-1").strip()
    release = Release.make(tmp_path)
    tables = release.tables("ann", "bob", "cat")
    builders = tables["builder"]
    assert isinstance(builders, list)
    ann = builders[0]
    ann["formats"] = ["narinfo"]
    ann["key"][0] |= {"type": "nix", "public": public}
    tables["quorum"]["weak_votes_max"] = 1
    policy = load(toml(tables))
    files = lab.tree("enrolled", {"anchor.efi": IMAGE}, "toml-1")
    kinds = {evidence.file.path: evidence for evidence in gather(files)}
    evidence = kinds[narinfo_of(files).path]
    assert evidence.format is Format.NARINFO
    (reading,) = read(evidence, policy, Aids(archives_of(files)))
    vote = admit(reading, policy, SUBJECT, NOW)
    assert isinstance(vote, Vote)
    assert (vote.builder, vote.sha256) == ("ann", sha256(IMAGE))
    (alone,) = read(evidence, policy)
    assert isinstance(alone, Unverified)
    assert alone.rule == "ATT-NAR-MISSING"


def test_one_file_costs_a_bounded_number_of_checks(lab: Laboratory) -> None:
    files = lab.tree("costly", {"anchor.efi": IMAGE}, "ann-1")
    info = narinfo_of(files)
    (line,) = (line for line in info.data.split(b"\n") if line.startswith(b"Sig: "))
    noise = [b"Sig: x:" + base64.b64encode(bytes([n]) * 64) for n in range(MOST_SIGNATURES - 1)]
    strangers = [
        builder(
            f"s{n}",
            from_ed25519(Ed25519PrivateKey.generate().public_key().public_bytes_raw()),
            *(KeyWrapping.NIX, f"s{n}", ("narinfo",)),
        )
        for n in range(10)
    ]
    policy = replace(lab.policy, builders=(*strangers, *lab.policy.builders))
    first = info.data.replace(line, b"\n".join([line, *noise]))
    last = info.data.replace(line, b"\n".join([*noise, line]))
    (reading,) = read_nix(MediaFile(info.path, first), archives_of(files), policy)
    assert isinstance(reading, Attestation)
    (reading,) = read_nix(MediaFile(info.path, last), archives_of(files), policy)
    assert isinstance(reading, Unverified), "more false signatures than are tried"


@refuses("ATT-NARINFO")
def test_what_is_no_narinfo_is_malformed(lab: Laboratory) -> None:
    (reading,) = read_nix(MediaFile("x.narinfo", b"StorePath: /x\n"), (), lab.policy)
    assert isinstance(reading, Malformed)
    assert reading.rule == "ATT-NARINFO"
