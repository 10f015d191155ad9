"""Versions: their order, the words and forms refused, and what several sources say of one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.ledger_lines import HEAD_OF_NONE, judged_with, releasing
from quorum.release import COMMIT, Release
from quorum.toml_text import Table

from ceremony.artifact_names import exact, fits, version_in
from ceremony.errors import Refused
from ceremony.policy import Policy
from ceremony.quorum import Verdict
from ceremony.release_rules import VersionScheme
from ceremony.types import MediaFile, Severity
from ceremony.version import denied, parse

SEMVER = VersionScheme.SEMVER
# semver.org 2.0.0, 11, and case 69 of the design, from low to high.
ASCENDING = (
    *("0.0.1", "0.9.0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1"),
    *("1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"),
    *("1.0.0-rc1", "1.0.0", "1.9.0", "1.10.0", "1.10.1", "2.0.0", "10.0.0"),
)


def test_versions_are_ordered_as_semver_says() -> None:
    orders = [parse(text, SEMVER).order for text in ASCENDING]
    assert orders == sorted(orders)
    assert len(set(orders)) == len(orders)


def test_build_metadata_orders_nothing() -> None:
    assert parse("1.0.0+a", SEMVER).order == parse("1.0.0+b.7", SEMVER).order
    assert parse("1.0.0+a", SEMVER).order == parse("1.0.0", SEMVER).order


@accepts("QRM-VERSION")
@refuses("QRM-VERSION")
@pytest.mark.parametrize(
    "text",
    [
        *("01.2.0", "1.02.0", "1.2", "1", "", "v1.2.3", "1.2.3.4", "1.2.3-", "1.2.3-01", "1.2.3+"),
        *("1.2.3-a..b", "1.2.3 ", " 1.2.3", "1.2.3\n", "1,2,3", "-1.2.3", "1.2.3-rc_1", "latest"),
        *("\u0661.2.3", "1.\uff12.3", "1.2.\u00b3", "1.2.3-\u0430", "1" * 200),
    ],
)
def test_what_is_not_canonical_is_no_version(text: str) -> None:
    assert parse("1.2.3-rc.1+build.5", SEMVER).text == "1.2.3-rc.1+build.5"
    with pytest.raises(Refused, match="QRM-VERSION"):
        parse(text, SEMVER)


NUMBERS = st.integers(0, 12)
IDENTIFIERS = st.from_regex(r"(0|[1-9][0-9]?|[a-c][a-c0-1-]?)", fullmatch=True)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.lists(IDENTIFIERS, max_size=3))))
def test_one_order_holds_for_all_versions(parts: list[tuple[int, int, int, list[str]]]) -> None:
    texts = [f"{a}.{b}.{c}" + ("-" + ".".join(pre) if pre else "") for a, b, c, pre in parts]
    versions = [parse(text, SEMVER) for text in texts]
    for one, other in itertools.combinations(versions, 2):
        assert (one.order == other.order) == (one.text == other.text)


def test_the_other_schemes_name_a_commit() -> None:
    number = parse("1.10.0-0a1b2c3d", VersionScheme.SEMVER_COMMIT)
    dated = parse("2026-06-29.322227", VersionScheme.DATE_COMMIT)
    assert (number.commit, dated.commit) == ("0a1b2c3d", "322227")
    assert number.order > parse("1.9.0-ffffffff", VersionScheme.SEMVER_COMMIT).order
    assert dated.order < parse("2026-07-01.000000", VersionScheme.DATE_COMMIT).order
    for text in ("2026-06-29.322227-dirty", "2026-02-30.322227", "2026-6-29.322227", "2026-06-29"):
        with pytest.raises(Refused, match="QRM-VERSION"):
            parse(text, VersionScheme.DATE_COMMIT)
    for text in ("1.10.0", "1.10.0-0A1B2C3D", "1.10-0a1b2c3d"):
        with pytest.raises(Refused, match="QRM-VERSION"):
            parse(text, VersionScheme.SEMVER_COMMIT)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        *(("1.0.0-rc1", "rc"), ("1.0.0-RC.1", "rc"), ("a_2026.1-dirty.efi", "-dirty")),
        *(("flashbox-dev_1.efi", "-dev"), ("dev-2026.efi", "dev-"), ("1.0.0", "")),
        *(("arch-1.0.0.efi", ""), ("x-devtools.efi", ""), ("1.0.0-src", ""), ("dev-2", "dev-")),
    ],
)
def test_a_denied_word_is_a_word(text: str, word: str) -> None:
    assert denied(text, ("-dirty", "-dev", "dev-", "rc")) == word


def test_a_name_has_one_place_for_a_version() -> None:
    names = ("box_{version}.efi", "box_l1_{version}.efi", "plain.efi")
    assert version_in(names, "box_1.2.0.efi") == "1.2.0"
    assert version_in(names, "box_l1_1.2.0.efi") == "1.2.0"
    assert exact(names, "box_1.2.0.efi") == ("box_1.2.0.efi", "box_l1_1.2.0.efi", "plain.efi")
    assert exact(names, "plain.efi") == ("plain.efi",)
    for path in ("box_.efi", "box_1/2.efi", "Box_1.efi", "box_1.efi.sig", "a/box_1.efi", "box_efi"):
        assert not fits(names, path)
    assert fits(names, "plain.efi")


# In a judgement


def versioned(
    release: Release, *said: str, source: tuple[str, ...] = ("statement",), **rule: object
) -> tuple[Policy, tuple[MediaFile, ...]]:
    names = ("ann", "bob", "cat")[: len(said)]
    files = tuple(
        file
        for name, version in zip(names, said, strict=True)
        for file in release.attest(
            name, pins={"git_commit": COMMIT} | ({"version": version} if version else {})
        )
    )
    return releasing(release, source=list(source), **rule), files


def told(verdict: Verdict, rule: str) -> list[Severity]:
    return [finding.severity for finding in verdict.findings if finding.rule == rule]


@accepts("QRM-VERSION", "QRM-VERSION-AGREES", "QRM-VERSION-DENIED")
def test_a_version_that_all_who_say_one_agree_on_is_accepted(release: Release) -> None:
    for said in (("1.2.0", "1.2.0", "1.2.0"), ("1.2.0", "", "")):
        policy, files = versioned(release, *said, deny=["-dirty", "rc"])
        judged = judged_with(policy, files, HEAD_OF_NONE)
        assert (judged.verdict.verdict, judged.version) == ("ACCEPT", "1.2.0")


@refuses("QRM-VERSION")
@pytest.mark.parametrize("said", [("", "", ""), ("01.2.0", "", ""), ("v1.2.0", "v1.2.0", "")])
def test_no_version_and_no_canonical_one_are_refused(
    release: Release, said: tuple[str, ...]
) -> None:
    policy, files = versioned(release, *said)
    judged = judged_with(policy, files, HEAD_OF_NONE)
    assert (judged.verdict.verdict, judged.version) == ("REFUSE", "")
    assert Severity.REFUSE in told(judged.verdict, "QRM-VERSION")


@refuses("QRM-VERSION-AGREES")
def test_two_versions_of_one_image_are_refused(release: Release) -> None:
    policy, files = versioned(release, "1.2.0", "", "1.2.1")
    judged = judged_with(policy, files, HEAD_OF_NONE)
    assert judged.verdict.verdict == "REFUSE"
    assert told(judged.verdict, "QRM-VERSION-AGREES") == [Severity.REFUSE]


@refuses("QRM-VERSION-AGREES")
def test_another_version_of_a_weak_vote_that_cannot_count_is_refused(release: Release) -> None:
    """Else one more vote of that builder, which makes it a duplicate, turned ACCEPT into REFUSE."""
    policy = release.policy(version={"source": ["statement"]})
    said = [
        release.attest(name, pins={"git_commit": COMMIT} | ({"version": "1.2.0"} if first else {}))
        for name, first in (("ann", True), ("bob", False), ("cat", False))
    ]
    weak = release.attest("dan", pins={"version": "1.2.1"}, folder="weak")
    files = tuple(file for one in said for file in one)
    assert judged_with(policy, files, HEAD_OF_NONE).verdict.verdict == "ACCEPT"
    for more in ((), release.attest("dan")):
        verdict = judged_with(policy, (*files, *weak, *more), HEAD_OF_NONE).verdict
        assert verdict.verdict == "REFUSE"
        assert told(verdict, "QRM-VERSION-AGREES") == [Severity.REFUSE]


def test_a_version_is_heard_whichever_of_the_weak_votes_are_counted(release: Release) -> None:
    """One more weak vote took the place of the one that said it, and turned ACCEPT into REFUSE."""
    quorum: Table = {"threshold": 2, "weak_votes_max": 1}
    policy = release.policy(version={"source": ["statement"]}, quorum=quorum)
    files = (*release.attest("dan", pins={"version": "1.2.0"}), *release.attest("cat"))
    for more in ((), release.attest("ann", pins={})):
        judged = judged_with(policy, (*files, *more), HEAD_OF_NONE)
        assert (judged.verdict.verdict, judged.version) == ("ACCEPT", "1.2.0")
    standing = {d.builder: d.rule for d in judged.verdict.dispositions}
    assert standing == {"ann": "QRM-PINS", "cat": "", "dan": "QRM-WEAK"}


@refuses("QRM-VERSION")
def test_a_weak_vote_under_a_policy_of_none_gives_no_version(release: Release) -> None:
    _, files = versioned(release, "", "", "")
    policy = release.policy(version={"source": ["statement"]})
    weak = release.attest("dan", pins={"version": "1.2.0"}, folder="weak")
    judged = judged_with(policy, (*files, *weak), HEAD_OF_NONE)
    assert (judged.verdict.verdict, judged.version) == ("REFUSE", "")
    assert told(judged.verdict, "QRM-VERSION") == [Severity.REFUSE]


@refuses("QRM-VERSION")
def test_a_version_is_at_most_128_characters_long() -> None:
    assert parse("1.2.0-" + "a" * 122, SEMVER).text
    with pytest.raises(Refused, match="a version of more than 128 characters"):
        parse("1.2.0-" + "a" * 123, SEMVER)


def test_a_version_with_a_commit_that_nobody_pins_is_reported(release: Release) -> None:
    policy = releasing(
        release,
        source=["statement"],
        scheme="semver-commit",
        tables={"inputs": {"must_agree": []}},
    )
    files = tuple(
        file
        for name in ("ann", "bob", "cat")
        for file in release.attest(name, pins={"version": f"1.2.0-{COMMIT[:8]}"})
    )
    judged = judged_with(policy, files, HEAD_OF_NONE)
    assert judged.verdict.verdict == "ACCEPT"
    assert told(judged.verdict, "QRM-VERSION-COMMIT") == [Severity.WARN]


@refuses("QRM-VERSION-DENIED")
def test_a_denied_word_in_a_version_is_refused(release: Release) -> None:
    policy, files = versioned(release, "1.2.0-rc1", "1.2.0-rc1", "1.2.0-rc1", deny=["rc"])
    judged = judged_with(policy, files, HEAD_OF_NONE)
    assert judged.verdict.verdict == "REFUSE"
    assert set(told(judged.verdict, "QRM-VERSION-DENIED")) == {Severity.REFUSE}


def test_only_the_sources_of_the_policy_are_read(release: Release) -> None:
    """A minisign signature's version is one of its trusted comment, not of a statement."""
    policy, files = versioned(release, "1.2.0", "9.9.9", "1.2.0")
    assert judged_with(policy, files, HEAD_OF_NONE).verdict.verdict == "ACCEPT"
    policy, files = versioned(release, "1.2.0", "9.9.9", "", source=("minisign-comment",))
    assert judged_with(policy, files, HEAD_OF_NONE).version == "9.9.9"
    policy, files = versioned(
        release, "1.2.0", "9.9.9", "", source=("minisign-comment", "statement")
    )
    verdict = judged_with(policy, files, HEAD_OF_NONE).verdict
    assert told(verdict, "QRM-VERSION-AGREES") == [Severity.REFUSE]


# In the file's name


def by_name(release: Release, path: str, said: str = "", **rule: object) -> Verdict:
    names = {"artifact": {"names": ["box_{version}.efi"]}}
    source = ["statement", "file-name"] if said else ["file-name"]
    policy = releasing(release, source=source, tables=names, **rule)
    pins = {"git_commit": COMMIT} | ({"version": said} if said else {})
    files = tuple(
        file
        for name in ("ann", "bob", "cat")
        for file in release.attest(name, pins=pins, artifact=path)
    )
    return judged_with(policy, files, HEAD_OF_NONE, path=path).verdict


@accepts("QRM-VERSION", "QRM-VERSION-COMMIT")
def test_a_version_in_the_name_alone_is_read(release: Release) -> None:
    assert by_name(release, "box_1.2.0.efi").verdict == "ACCEPT"
    dated = by_name(release, f"box_2026-06-29.{COMMIT[:6]}.efi", scheme="date-commit")
    assert dated.verdict == "ACCEPT"


@refuses("QRM-VERSION-COMMIT")
def test_a_name_of_another_commit_is_refused(release: Release) -> None:
    verdict = by_name(release, "box_2026-06-29.322227.efi", scheme="date-commit")
    assert verdict.verdict == "REFUSE"
    assert told(verdict, "QRM-VERSION-COMMIT") == [Severity.REFUSE]


@refuses("QRM-VERSION-AGREES", "QRM-VERSION-DENIED")
def test_a_name_that_says_otherwise_or_is_of_a_development_build_is_refused(
    release: Release,
) -> None:
    """Case 70, and the names that Flashbots gives to what is no release."""
    verdict = by_name(release, "box_1.2.1.efi", "1.2.0")
    assert verdict.verdict == "REFUSE"
    assert told(verdict, "QRM-VERSION-AGREES") == [Severity.REFUSE]
    for path in ("box_2026-06-29.322227-dirty.efi", "box_dev-2026.efi"):
        verdict = by_name(release, path, scheme="date-commit", deny=["-dirty", "dev-"])
        assert verdict.verdict == "REFUSE"
        assert set(told(verdict, "QRM-VERSION-DENIED")) == {Severity.REFUSE}


def test_attestations_of_another_versions_name_do_not_count(release: Release) -> None:
    policy = releasing(
        release,
        source=["file-name"],
        tables={"artifact": {"names": ["box_{version}.efi"]}},
    )
    files = tuple(
        file
        for name in ("ann", "bob", "cat")
        for file in release.attest(name, artifact="box_1.9.0.efi")
    )
    verdict = judged_with(policy, files, HEAD_OF_NONE, path="box_1.10.0.efi").verdict
    assert (verdict.verdict, verdict.votes) == ("REFUSE", 0)
    assert {d.rule for d in verdict.dispositions} == {"QRM-NAME"}
