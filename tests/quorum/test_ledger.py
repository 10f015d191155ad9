"""The ledger: rollback, reuse, signing again, and a ledger that is missing, cut or forked."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.ledger_lines import (
    EARLIER,
    HEAD_OF_NONE,
    entry,
    head_of,
    judged_with,
    ledger,
    releasing,
)
from quorum.release import COMMIT, IMAGE, OTHER, Release, sha256

from ceremony.errors import Refused
from ceremony.ledger import NO_HEAD, Ended, Entry, appended, line, parse, read
from ceremony.policy import Policy
from ceremony.quorum import Judged, Verdict, apply_override
from ceremony.types import MediaFile, Severity


def files_saying(release: Release, version: str, image: bytes = IMAGE) -> tuple[MediaFile, ...]:
    pins = {"git_commit": COMMIT, "version": version}
    names = ("ann", "bob", "cat")
    return tuple(file for name in names for file in release.attest(name, image, pins))


def after(
    release: Release, version: str, *entries: Entry, policy: Policy | None = None, **rule: object
) -> Judged:
    """Judge IMAGE as `version` after the ceremonies of a ledger whose head is confirmed."""
    used = policy or releasing(release, **rule)
    book = ledger(used, *entries)
    return judged_with(used, files_saying(release, version), head_of(book), book=book)


def told(verdict: Verdict, rule: str) -> list[Severity]:
    return [finding.severity for finding in verdict.findings if finding.rule == rule]


@accepts("QRM-ROLLBACK", "QRM-REUSE", "QRM-RESIGN", "QRM-LEDGER", "QRM-LEDGER-HEAD")
@accepts("QRM-LEDGER-FORK", "QRM-VANISHED", "POL-SEQUENCE")
def test_a_greater_version_follows(release: Release) -> None:
    judged = after(release, "1.10.0", entry("1.8.0", OTHER), entry("1.9.0", b"another"))
    assert judged.verdict.verdict == "ACCEPT"
    assert [f.rule for f in judged.verdict.findings if f.severity is not Severity.INFO] == []
    assert judged.ledger is not None
    assert len(judged.ledger.entries) == 2


@refuses("QRM-RESIGN")
def test_the_same_bytes_again_are_a_logged_re_sign(release: Release) -> None:
    """Case 66."""
    verdict = after(release, "1.9.0", entry("1.9.0")).verdict
    assert verdict.verdict == "ACCEPT"
    assert told(verdict, "QRM-RESIGN") == [Severity.WARN]
    verdict = after(release, "1.9.0", entry("1.9.0"), same_digest_resign="refuse").verdict
    assert verdict.verdict == "REFUSE"
    assert told(verdict, "QRM-RESIGN") == [Severity.REFUSE]


@refuses("QRM-REUSE")
@pytest.mark.parametrize("signed", ["1.9.0", "1.9.0+other"])
def test_a_version_of_other_bytes_is_refused(release: Release, signed: str) -> None:
    """Case 67; also where a later version was signed since, and for semver's build metadata."""
    for entries in (
        (entry(signed, OTHER),),
        (entry(signed, OTHER), entry("2.0.0", b"another")),
    ):
        verdict = after(release, "1.9.0", *entries).verdict
        assert verdict.verdict == "REFUSE"
        assert told(verdict, "QRM-REUSE") == [Severity.REFUSE]


@refuses("QRM-ROLLBACK")
@pytest.mark.parametrize(
    ("version", "signed"), [("1.9.0", "1.10.0"), ("1.0.0-rc1", "1.0.0"), ("1.9.0", "1.9.1-rc1")]
)
def test_a_lower_version_needs_the_operators(release: Release, version: str, signed: str) -> None:
    """Cases 68 and 69."""
    policy = releasing(release)
    verdict = after(release, version, entry(signed, OTHER), policy=policy).verdict
    assert verdict.verdict == "OVERRIDE_NEEDED"
    assert told(verdict, "QRM-ROLLBACK") == [Severity.REFUSE]
    accepted = apply_override(verdict, ("carol", "ines"), "the new one does not boot", policy)
    assert accepted.verdict == "ACCEPT"
    assert told(accepted, "QRM-ROLLBACK") == [Severity.WARN]
    with pytest.raises(Refused, match="QRM-OVERRIDE"):
        apply_override(verdict, ("carol",), "the new one does not boot", policy)


def test_an_older_versions_very_bytes_are_a_rollback_too(release: Release) -> None:
    verdict = after(release, "1.9.0", entry("1.9.0"), entry("1.10.0", OTHER)).verdict
    assert verdict.verdict == "OVERRIDE_NEEDED"


def test_what_was_not_signed_blocks_no_version(release: Release) -> None:
    refused = entry("1.9.0", OTHER, ended=Ended.REFUSED)
    assert after(release, "1.9.0", refused).verdict.verdict == "ACCEPT"


def test_a_rule_of_any_order_still_blocks_reuse(release: Release) -> None:
    table = {"ledger": {"file": "ledger.jsonl"}}
    policy = releasing(release, rule="any", tables=table)
    verdict = after(release, "1.8.0", entry("1.9.0", OTHER), policy=policy).verdict
    assert verdict.verdict == "ACCEPT"
    verdict = after(release, "1.9.0", entry("1.9.0", OTHER), policy=policy).verdict
    assert verdict.verdict == "REFUSE"


# The ledger itself


@refuses("QRM-LEDGER")
def test_a_missing_ledger_stops_until_people_say_that_none_was_made(release: Release) -> None:
    """Case 71."""
    policy, files = releasing(release), files_saying(release, "1.9.0")
    for head in ("", "ab" * 32):
        verdict = judged_with(policy, files, head).verdict
        assert verdict.verdict == "REFUSE"
        assert told(verdict, "QRM-LEDGER") == [Severity.REFUSE]
    verdict = judged_with(policy, files, HEAD_OF_NONE).verdict
    assert verdict.verdict == "ACCEPT"
    assert told(verdict, "QRM-LEDGER") == [Severity.WARN]


@refuses("QRM-LEDGER-HEAD")
def test_a_ledger_counts_only_with_the_head_from_paper(release: Release) -> None:
    """Case 71: unconfirmed, shortened, grown elsewhere, of another machine."""
    policy, files = releasing(release), files_saying(release, "1.9.0")
    one, two, other = entry("1.7.0", OTHER), entry("1.8.0", b"two"), entry("1.8.0", b"other")
    whole, short = ledger(policy, one, two), ledger(policy, one)
    forked = ledger(policy, one, other)
    for book, head, why in (
        (whole, "", "nobody confirmed"),
        (short, head_of(whole), "shortened or another's"),
        (whole, head_of(short), "goes on behind"),
        (forked, head_of(whole), "shortened or another's"),
    ):
        verdict = judged_with(policy, files, head, book=book).verdict
        assert verdict.verdict == "REFUSE"
        (finding,) = [f for f in verdict.findings if f.rule == "QRM-LEDGER-HEAD"]
        assert finding.severity is Severity.REFUSE
        assert why in finding.text
    assert judged_with(policy, files, head_of(whole), book=whole).verdict.verdict == "ACCEPT"


@refuses("QRM-LEDGER-FORK")
def test_other_copies_are_reported_and_change_nothing(release: Release) -> None:
    policy, files = releasing(release), files_saying(release, "1.9.0")
    one, two = entry("1.7.0", OTHER), entry("1.8.0", b"two")
    whole = ledger(policy, one, two)
    copies = {
        "a/ledger.jsonl": ledger(policy, one),
        "b/ledger.jsonl": ledger(policy, one, two, entry("9.0.0", b"three")),
        "c/ledger.jsonl": ledger(policy, entry("9.0.0", b"four")),
        "d/ledger.jsonl": b"garbage\n",
        "e/ledger.jsonl": whole,
    }
    extra = tuple(MediaFile(path, data) for path, data in copies.items())
    verdict = judged_with(policy, (*files, *extra), head_of(whole)).verdict
    assert verdict.verdict == "ACCEPT"
    assert told(verdict, "QRM-LEDGER-FORK") == [Severity.WARN] * 3
    assert told(verdict, "QRM-LEDGER") == [Severity.WARN]
    texts = sorted(f.text.partition(" (")[0] for f in verdict.findings if "another copy" in f.text)
    copy = "another copy of the ledger"
    assert texts == [f"{copy} ends earlier", f"{copy} goes on", f"{copy} tells another story"]
    verdict = judged_with(policy, (*files, *extra), "").verdict
    assert told(verdict, "QRM-LEDGER-FORK") == [Severity.REFUSE] * 3
    assert not [d for d in verdict.dispositions if "ledger" in d.file]


def test_a_flood_of_ledgers_does_not_hide_the_confirmed_one(release: Release) -> None:
    policy, files = releasing(release), files_saying(release, "1.9.0")
    book = ledger(policy, entry("1.8.0", OTHER))
    flood = tuple(
        MediaFile(f"a{n}/ledger.jsonl", ledger(policy, entry(f"9.{n}.0"))) for n in range(40)
    )
    verdict = judged_with(policy, (*files, *flood), head_of(book), book=book).verdict
    assert verdict.verdict == "ACCEPT"
    assert len(told(verdict, "QRM-LEDGER-FORK")) == 16


@refuses("QRM-LEDGER")
def test_a_ledger_of_another_policy_is_refused(release: Release) -> None:
    verdict = after(release, "1.9.0", entry("1.8.0", OTHER, policy_id="another")).verdict
    assert verdict.verdict == "REFUSE"
    assert Severity.REFUSE in told(verdict, "QRM-LEDGER")


@refuses("POL-SEQUENCE")
def test_a_policys_sequence_exceeds_the_last(release: Release) -> None:
    """Case 72: the very policy of the last ceremony serves again, no other of its number."""
    policy = releasing(release)
    own, other = policy.sha256.hex, "11" * 32
    for last, digest, fits in ((1, own, True), (1, other, False), (2, other, False)):
        line_ = entry("1.8.0", OTHER, policy_sequence=last, policy_sha256=digest)
        verdict = after(release, "1.9.0", line_, policy=policy).verdict
        assert (verdict.verdict == "ACCEPT") is fits
        assert told(verdict, "POL-SEQUENCE") == ([] if fits else [Severity.REFUSE])


@refuses("POL-SEQUENCE")
def test_every_line_of_the_last_sequence_is_of_this_policys_file(release: Release) -> None:
    tables = {"sequence": 2}
    policy = releasing(release, tables=tables)
    own, other = policy.sha256.hex, "11" * 32

    def line_(sequence: int, digest: str) -> Entry:
        return entry("1.8.0", OTHER, policy_sequence=sequence, policy_sha256=digest)

    for lines, fits in (
        ((line_(1, other),), True),
        ((line_(1, other), line_(2, own)), True),
        ((line_(2, own), line_(2, other)), False),
        ((line_(3, own),), False),
    ):
        verdict = after(release, "1.9.0", *lines, policy=policy).verdict
        assert told(verdict, "POL-SEQUENCE") == ([] if fits else [Severity.REFUSE])


@refuses("QRM-LEDGER")
def test_what_was_signed_without_a_version_blocks_none_and_a_strange_one_all(
    release: Release,
) -> None:
    assert after(release, "1.9.0", entry("", OTHER)).verdict.verdict == "ACCEPT"
    verdict = after(release, "1.9.0", entry("v1.8", OTHER)).verdict
    assert verdict.verdict == "REFUSE"
    texts = [f.text for f in verdict.findings if f.severity is Severity.REFUSE]
    assert texts == ["the ledger's version v1.8 is none of semver"]


@refuses("QRM-VANISHED")
def test_what_vanished_is_looked_for_by_version_and_by_digest(release: Release) -> None:
    gone = sha256(b"gone")
    policy, files = releasing(release), files_saying(release, "1.9.0")
    unversioned = release.policy("ann", "bob", "cat", ledger={"file": "ledger.jsonl"})
    for used, last, reports in (
        (policy, entry("1.8.0", IMAGE, attestations=(gone,), ended=Ended.REFUSED), 1),
        (unversioned, entry("", IMAGE, attestations=(gone,)), 1),
        (unversioned, entry("", OTHER, attestations=(gone,)), 0),
    ):
        book = ledger(used, last)
        verdict = judged_with(used, files, head_of(book), book=book).verdict
        assert told(verdict, "QRM-VANISHED") == [Severity.WARN] * reports


@refuses("QRM-VANISHED")
def test_an_attestation_that_is_gone_since_is_reported(release: Release) -> None:
    """Case 26; also where the last ceremony about this version ended in a refusal."""
    policy, files = releasing(release), files_saying(release, "1.9.0")
    there = tuple(sorted(sha256(file.data) for file in files))
    gone = sha256(b"a dissent that somebody took away")
    for last, reports in (
        (entry("1.9.0", attestations=tuple(sorted((*there, gone)))), 1),
        (entry("1.9.0", OTHER, attestations=(gone,), ended=Ended.REFUSED), 1),
        (entry("1.9.0", attestations=there), 0),
        (entry("1.8.0", OTHER, attestations=(gone,)), 0),
    ):
        book = ledger(policy, last)
        verdict = judged_with(policy, files, head_of(book), book=book).verdict
        assert verdict.verdict == "ACCEPT"
        assert told(verdict, "QRM-VANISHED") == [Severity.WARN] * reports


def test_a_policy_without_a_ledger_looks_at_none(release: Release) -> None:
    policy = release.policy("ann", "bob", "cat")
    files = (*files_saying(release, "1.9.0"), MediaFile("ledger.jsonl", b"garbage"))
    judged = judged_with(policy, files, "")
    assert (judged.verdict.verdict, judged.version, judged.ledger) == ("ACCEPT", "", None)


def test_the_next_line_is_made_of_what_was_judged(release: Release) -> None:
    policy = releasing(release)
    judged = after(release, "1.9.0", entry("1.8.0", OTHER), policy=policy)
    book = judged.ledger
    assert book is not None
    following = entry(judged.version, attestations=judged.attestations, previous=book.head)
    grown = parse(appended(book, following))
    assert grown.entries == (*book.entries, following)
    assert grown.head == head_of(grown.data)
    signatures = {sha256(f.data) for f in files_saying(release, "1.9.0")}
    assert len(judged.attestations) == 3
    assert signatures.issuperset(judged.attestations)
    with pytest.raises(Refused, match="QRM-LEDGER-FORK"):
        appended(grown, following)


# Its form


def sound() -> bytes:
    return ledger(None, entry("1.0.0"), entry("1.1.0", OTHER))


@refuses("QRM-LEDGER")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        sound()[:-1],
        sound() + b"\n",
        sound().replace(b"1.1.0", b"1.2.0\xff"),
        sound().replace(b'"version":"1.0.0"', b'"version": "1.0.0"'),
        sound().replace(b'"version":"1.0.0"', b'"version":"1.0.0","x":1'),
        sound().replace(b'"version":"1.0.0"', b'"version":"1.0.0","version":"1.0.0"'),
        sound().replace(b'"policy_sequence":1', b'"policy_sequence":0'),
        sound().replace(b'"policy_sequence":1', b'"policy_sequence":1.0'),
        sound().replace(EARLIER.encode(), b"2026-10-01 12:00"),
        sound().replace(b"signed", b"burnt"),
        sound().replace(sha256(IMAGE).encode(), sha256(IMAGE).upper().encode()),
        sound().partition(b"\n")[2],
        sound().partition(b"\n")[2] + sound().partition(b"\n")[0] + b"\n",
        sound().replace(b"\n", b"\r\n"),
        sound() * 2,
        ledger(None, entry("1.0.0")).replace(b"1.0.0", b"1.0.1") + sound().partition(b"\n")[2],
    ],
)
def test_a_ledger_is_read_strictly(data: bytes) -> None:
    with pytest.raises(Refused, match="QRM-LEDGER"):
        parse(data)


def alone(**changes: object) -> bytes:
    """Return a ledger of one line, whose values are changed without any check."""
    values = json.loads(line(entry("1.0.0")))
    text = json.dumps(values | changes, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"


@refuses("QRM-LEDGER")
@pytest.mark.parametrize(
    ("old", "new"), [(b'"version":"', b'"version": "'), (b'"1.0.0"', b'"1\\u002e0.0"')]
)
def test_a_line_that_is_not_canonical_is_refused(old: bytes, new: bytes) -> None:
    data = alone().replace(old, new)
    assert json.loads(data) == json.loads(alone())
    with pytest.raises(Refused, match="line 1 of the ledger is not canonical JSON"):
        parse(data)


@refuses("QRM-LEDGER")
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sha256": sha256(IMAGE).upper()}, "64 lower-case hex digits"),
        ({"head": "ab"}, "64 lower-case hex digits"),
        ({"attestations": ["x" * 64]}, "64 lower-case hex digits"),
        ({"attestations": ["bb" * 32, "aa" * 32]}, "not sorted"),
        ({"attestations": ["aa" * 32, "aa" * 32]}, "not sorted"),
        ({"attestations": [f"{n:064x}" for n in range(4097)]}, "too many attestations"),
        ({"time": "2026-10-01"}, "a time that is none"),
        ({"policy_sequence": 0}, "a sequence below 1"),
        ({"previous": "ab" * 32}, "line 1 of the ledger does not follow"),
        ({"ended": "burnt"}, "line 1 of the ledger"),
    ],
)
def test_each_fault_of_a_line_is_found_by_itself(changes: dict[str, object], why: str) -> None:
    assert parse(alone()).entries
    assert parse(alone(attestations=[f"{n:064x}" for n in range(4096)])).entries
    with pytest.raises(Refused, match="QRM-LEDGER") as caught:
        parse(alone(**changes))
    assert why in caught.value.findings[0].text


def test_a_line_is_canonical_json() -> None:
    (first,) = parse(ledger(None, entry("1.0.0"))).entries
    values = json.loads(line(first))
    assert list(values) == sorted(values)
    assert parse(sound()).head == head_of(sound())


@settings(max_examples=300)
@given(st.data())
def test_no_change_of_a_ledger_raises_or_keeps_its_head(data: st.DataObject) -> None:
    changed = bytearray(sound())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed)))
        changed[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    file = MediaFile("ledger.jsonl", bytes(changed))
    found = read((file,), "ledger.jsonl", head_of(sound()))
    stopped = any(finding.severity is Severity.REFUSE for finding in found.findings)
    assert stopped or bytes(changed) == sound()
    assert found.head != NO_HEAD or not found.entries
