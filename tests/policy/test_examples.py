"""The annotated examples: what each promises of its kind of release, and where they come from."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from quorum.release import facts

from ceremony.artifact_names import fits
from ceremony.policy import Policy, load
from ceremony.policy_advice import advice
from ceremony.principals import principals
from ceremony.quorum import judge
from ceremony.release_rules import VersionScheme, VersionSource
from tui import policy_skeletons

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
WHEN = datetime(2026, 12, 1, tzinfo=UTC)


def example(name: str) -> Policy:
    return load((EXAMPLES / f"{name}.toml").read_bytes())


def test_there_is_an_example_of_every_kind() -> None:
    files = sorted(path.name for path in EXAMPLES.glob("*.toml"))
    assert files == sorted(policy_skeletons.KINDS.values())


@pytest.mark.parametrize("kind", policy_skeletons.KINDS)
def test_an_example_is_its_skeleton_filled_in(kind: str) -> None:
    text = (EXAMPLES / policy_skeletons.KINDS[kind]).read_text("utf-8")
    parts = policy_skeletons.PLACE.split(policy_skeletons.text(kind))
    pattern = "".join(
        re.escape(part) if number % 2 == 0 else r"(?:[^\"]*?)" for number, part in enumerate(parts)
    )
    assert re.fullmatch(pattern, text, re.DOTALL)
    assert "REPLACE" not in text


@pytest.mark.parametrize("kind", policy_skeletons.KINDS)
def test_an_example_loads_and_its_advice_is_meant(kind: str) -> None:
    data = (EXAMPLES / policy_skeletons.KINDS[kind]).read_bytes()
    policy = load(data)
    meant = ("are one vote", "base_image")
    told = [finding.text for finding in advice(policy, data.decode(), WHEN)]
    assert [text for text in told if not any(words in text for words in meant)] == []


def test_flashbots_reads_the_version_from_the_name_and_refuses_development_builds() -> None:
    policy = example("flashbots")
    assert (policy.artifact.arch, ".osrel" in policy.gates.sections) == ("x86_64", False)
    assert policy.version is not None
    assert policy.version.source == (VersionSource.FILE_NAME,)
    assert policy.version.scheme is VersionScheme.DATE_COMMIT
    names = policy.artifact.names
    assert fits(names, "flashbox-l1_2026-06-29.322227.efi")
    assert not fits(names, "flashbox-l1-dev_2026-06-29.322227.efi")
    for name in (
        "flashbox-l1_2026-06-29.322227-dirty.efi",
        "flashbox-l1_dev-2026-06-29-322227ab.efi",
        "flashbox-l1_main.322227ab.efi",
    ):
        rules = {f.rule for f in judge(policy, name, facts(), (), WHEN).findings}
        assert rules & {"QRM-VERSION", "QRM-VERSION-DENIED"}
    assert {"minisign", "sigstore"} <= {f for b in policy.builders for f in b.formats}
    votes = {p.builders for p in principals(policy.builders)}
    assert ("ci-buildernet", "ci-flashbox") in votes


def test_anchor_wants_two_clean_builders_and_the_lock_file() -> None:
    policy = example("anchor")
    assert policy.artifact.arch == "aarch64"
    assert policy.inputs.must_agree == ("flake_lock", "git_commit")
    assert policy.inputs.flake_lock_file == "flake.lock"
    assert policy.quorum.threshold == 2
    rules = {f.rule for f in judge(policy, "anchor.efi", facts(), (), WHEN).findings}
    assert "QRM-LOCK" in rules


def test_a_laptops_boxes_are_one_vote() -> None:
    policy = example("nixos-laptop")
    laptop = [b for b in policy.builders if b.host == "laptop"]
    assert {b.isolation for b in laptop} == {"docker", "bwrap", "flatpak", "qemu-vm"}
    votes = {p.builders for p in principals(policy.builders)}
    assert votes == {
        ("laptop-bwrap", "laptop-docker", "laptop-flatpak", "laptop-qemu"),
        ("friend",),
        ("other-friend",),
    }
    stores = [b for b in laptop if b.shares_with == ("laptop-store",)]
    assert len(stores) == 3


def test_a_jail_is_checked_and_needed() -> None:
    policy = example("freebsd-jail")
    jails = [b for b in policy.builders if b.isolation == "freebsd-jail"]
    assert jails
    assert all(b.require_jail_metadata for b in jails)
    assert str(policy.quorum.tree) == "all(1 of jails, 1 of linux)"


@pytest.mark.parametrize("kind", policy_skeletons.KINDS)
def test_a_new_policy_says_what_belongs_where(kind: str) -> None:
    text = policy_skeletons.new(kind, WHEN)
    assert not policy_skeletons.PLACE.search(text)
    assert "valid_from = 2026-12-01T00:00:00Z" in text
    assert "expires = 2027-03-01T00:00:00Z" in text
    assert text.count("REPLACE") >= 6
