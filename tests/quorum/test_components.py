"""Parts of an image: sections, both in one attestation, retraction, what the verdict holds."""

from __future__ import annotations

import hashlib
import random
import struct
from functools import cache

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from marks import accepts, refuses
from pe.images import uki
from quorum.casebook import TRIO, loaded, rows, signed_sums
from quorum.cases_components import OTHER, PART, PINS, component, of_part, policy
from quorum.release import COMMIT, IMAGE, NOW, Release, checksums, judged, pair, sha256
from quorum.tool_keys import SshKey

from ceremony.codec import decode, encode
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.pe.layout import read_layout
from ceremony.policy import Policy
from ceremony.quorum import Verdict, judge
from ceremony.types import ImageFacts, MediaFile

FIVE = (*TRIO, "dan", "eve")


@cache
def initrd() -> bytes:
    """Return what was put into the section, as a builder has it in a file of its own."""
    layout = read_layout(uki(), len(uki())).layout
    assert layout is not None
    (section,) = [each for each in layout.sections if each.name == ".initrd"]
    assert section.content_size < section.size  # there is padding behind it
    return bytes(uki()[section.offset : section.offset + section.content_size])


def covered(place: int) -> bytes:
    """Return the image with .sbat mapped `place` bytes behind the beginning of .initrd."""
    made = bytearray(uki())
    layout = read_layout(uki(), len(made)).layout
    assert layout is not None
    named = {each.name: each for each in layout.sections}
    address = named[".initrd"].virtual_address + place
    struct.pack_into("<I", made, named[".sbat"].at + 12, address)
    return bytes(made)


@cache
def facts() -> ImageFacts:
    return inspect(uki(), OPEN_GATES)


def rules(verdict: Verdict) -> set[str]:
    return {f.rule for f in verdict.findings if f.severity == "refuse"}


@accepts("QRM-COMPONENT", "QRM-COMPONENT-DISSENT")
@refuses("QRM-COMPONENT", "QRM-COMPONENT-DISSENT")
def test_a_part_that_is_a_section_is_that_sections_content(release: Release) -> None:
    asked = policy(release, *FIVE, section=".initrd", names=["initrd.cpio"])
    images = release.all(*TRIO, image=uki())
    right = of_part(release, "dan", "eve", data=initrd(), called="initrd.cpio")
    verdict = judge(asked, "anchor.efi", facts(), (*images, *right), NOW)
    assert verdict.verdict == "ACCEPT"
    (part,) = verdict.components
    assert (part.component, part.votes, part.weak) == ("bay0", 2, 0)
    assert part.sha256 == sha256(initrd())
    says = {row.builder: (row.answer, row.disposition) for row in part.matrix}
    assert says == {
        **dict.fromkeys(TRIO, ("missing", "")),
        "dan": ("match", "counted"),
        "eve": ("match", "counted"),
    }
    # the same votes for other bytes: everybody agrees, and not with the image
    wrong = of_part(release, "dan", "eve", data=initrd() + b"\0", called="initrd.cpio")
    verdict = judge(asked, "anchor.efi", facts(), (*images, *wrong), NOW)
    assert verdict.verdict == "REFUSE"
    assert rules(verdict) == {"QRM-COMPONENT", "QRM-COMPONENT-DISSENT"}


def test_an_attestation_that_names_both_speaks_for_both(release: Release) -> None:
    content = checksums(sha256(IMAGE), "anchor.efi", {}) + checksums(sha256(PART), "bay0", PINS)
    both = signed_sums(release, content)
    verdict = judged(policy(release), (*release.all("ann", "bob"), *both))
    assert verdict.votes == 3
    assert [(p.votes, p.sha256) for p in verdict.components] == [(1, sha256(PART))]
    assert {d.disposition for d in verdict.dispositions} == {"counted"}


def test_why_a_vote_for_a_part_is_none_is_said_of_the_part(release: Release) -> None:
    tables = release.tables(*FIVE, time={"max_age": "1d"})
    tables["component"] = [component()]
    verdict = judged(loaded(tables), of_part(release, "eve"))
    assert [d.rule for d in verdict.dispositions] == ["QRM-STALE"]
    tables = release.tables(*FIVE, inputs={"missing": "reject"})
    tables["component"] = [component()]
    verdict = judged(loaded(tables), of_part(release, "dan", pins={}))
    assert [d.rule for d in verdict.dispositions] == ["QRM-PINS"]


def test_principals_are_those_of_the_image(release: Release) -> None:
    tables = release.tables(*FIVE)
    tables["component"] = [component()]
    rows(tables)[4]["shares_with"] = ["dan"]
    verdict = judged(loaded(tables), (*release.all(*TRIO), *of_part(release, "dan", "eve")))
    assert verdict.verdict == "REFUSE"
    assert "bay0: 1 of 2 principals agree: dan" in {f.text for f in verdict.findings}


def test_a_vote_for_a_part_can_be_taken_back(release: Release) -> None:
    key = release.keys["dan"]
    assert isinstance(key, SshKey)
    votes = of_part(release, "dan", "eve")
    gone = hashlib.sha256(next(f.data for f in votes if f.path.endswith(".sig"))).hexdigest()
    content = f"# retracts sha256:{gone}\n".encode()
    back = pair("back/SHA256SUMS", content, key.sign(content))
    files = (*release.all(*TRIO), *votes)
    asked = policy(release, *FIVE)
    assert judged(asked, files).verdict == "ACCEPT"
    verdict = judged(asked, (*files, *back))
    assert (verdict.verdict, verdict.components[0].votes) == ("REFUSE", 1)
    assert "QRM-RETRACTED" in {d.rule for d in verdict.dispositions}


def test_a_part_without_rule_changes_nothing_of_the_image(release: Release) -> None:
    files = (*release.all(*TRIO), *of_part(release, "dan"))
    verdict = judged(release.policy(), files)
    assert (verdict.verdict, verdict.components) == ("ACCEPT", ())
    assert {d.rule for d in verdict.dispositions} == {"", "QRM-NAME"}


@pytest.fixture(scope="module")
def policies(release: Release) -> tuple[Policy, ...]:
    """Return policies with a component that counts no weak vote and one, and one without."""
    counting = (policy(release, *FIVE, weak_votes_max=weak) for weak in (0, 1))
    return (*counting, release.policy(*FIVE))


Said = tuple[str, bool, int, bool]
says = st.lists(
    st.tuples(st.sampled_from(FIVE), st.booleans(), st.integers(0, 2), st.booleans()), max_size=6
)
IN_WORDS: tuple[dict[str, str], ...] = (PINS, {}, {"git_commit": "d" * 40})


def files_of(release: Release, said: list[Said]) -> tuple[MediaFile, ...]:
    """Return attestations: builder, of the part or the image, its pins, right or not."""
    found: dict[tuple[str, bytes], MediaFile] = {}
    for name, of_it, pins, right in said:
        data = (PART if of_it else IMAGE) if right else OTHER
        called = "bay0" if of_it else "anchor.efi"
        folder = f"{name}-{called}-{pins}-{right}"
        for file in release.attest(name, data, IN_WORDS[pins], artifact=called, folder=folder):
            found[file.path, file.data] = file
    return tuple(found.values())


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(says, st.integers(0, 99), st.integers(0, 1))
def test_what_holds_of_images_holds_of_parts(
    release: Release, policies: tuple[Policy, ...], said: list[Said], order: int, weak: int
) -> None:
    asked = policies[weak]
    files = (*release.all(*TRIO), *files_of(release, said))
    verdict = judged(asked, files)
    mixed = list(files)
    random.Random(order).shuffle(mixed)
    assert judged(asked, tuple(mixed)) == verdict
    assert decode(Verdict, encode(verdict)) == verdict
    # never for the image
    images = tuple(f for f in files if "bay0" not in f.path)
    assert judged(policies[2], images).votes == verdict.votes
    assume(verdict.verdict == "ACCEPT")
    # one more agreeing vote never stops it, one proved dissent always does
    (part,) = verdict.components
    assert part.votes >= 2
    data = PART if part.sha256 == sha256(PART) else OTHER
    assert judged(asked, (*files, *of_part(release, "ann", data=data))).verdict == "ACCEPT"
    other = of_part(release, "bob", data=b"a third", pins={"git_commit": COMMIT})
    assert judged(asked, (*files, *other)).verdict == "OVERRIDE_NEEDED"


@pytest.mark.parametrize("place", [0, 1001, -100], ids=["over", "the-last-byte", "from-below"])
def test_a_part_with_another_section_mapped_over_it_is_no_part(
    release: Release, place: int
) -> None:
    asked = policy(release, *FIVE, section=".initrd", names=["initrd.cpio"])
    right = of_part(release, "dan", "eve", data=initrd(), called="initrd.cpio")
    image = covered(place)
    files = (*release.all(*TRIO, image=image), *right)
    verdict = judge(asked, "anchor.efi", inspect(image, OPEN_GATES), files, NOW)
    assert verdict.verdict == "REFUSE"
    assert rules(verdict) == {"QRM-COMPONENT"}
    beside = covered(1002)
    files = (*release.all(*TRIO, image=beside), *right)
    verdict = judge(asked, "anchor.efi", inspect(beside, OPEN_GATES), files, NOW)
    assert verdict.verdict == "ACCEPT"
