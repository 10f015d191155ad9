"""What a report says: everything that the record holds, beginning with what replay says of it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from reporting import (
    GOLDEN,
    KINDS,
    REPORTED,
    SPOILED,
    bundle,
    happy,
    record,
    report,
)

from ceremony.events import Ack, Decided
from transcripts.log import read_log
from transcripts.report import summary
from transcripts.report.document import Picture, Report, Table
from transcripts.report.heads import gates
from transcripts.report.html import html
from transcripts.report.text import PAGE, WIDTH, text


def tables(found: Report, section: str) -> list[Table]:
    (part,) = (s for s in found.sections if s.name == section)
    return [block for block in part.blocks if isinstance(block, Table)]


def pictures(found: Report) -> list[Picture]:
    return [b for s in found.sections for b in s.blocks if isinstance(b, Picture)]


# The published ones


@pytest.mark.parametrize("kind", REPORTED)
def test_a_report_has_the_same_bytes_each_time(kind: str) -> None:
    """After a change that is meant: .venv/bin/python scripts/golden.py --reports."""
    found = report(bundle(kind))
    assert html(found) == (GOLDEN / kind / "report.html").read_text("utf-8")
    assert text(found) == (GOLDEN / kind / "report.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("happy", "Deviations none is recorded"),
        ("dissent", "Deviations 3, each told below (events 16, 17, 18)"),
    ],
)
def test_the_first_page_says_what_went_beside_the_script(kind: str, said: str) -> None:
    """An override of a builder's word stood on page ten alone."""
    first = " ".join(text(report(bundle(kind))).split()).partition("People of the policy")[0]
    assert said in first
    assert "Earlier head none is named" in first


def test_the_reports_that_must_be_there() -> None:
    assert {"happy", "resumed"} <= set(REPORTED)


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_decision_and_event_is_in_it(kind: str) -> None:
    found = report(bundle(kind))
    page = " ".join(text(found).split())
    log = read_log(bundle(kind)["transcript.jsonl"])
    for line in log.lines:
        event = line.event
        if isinstance(event, Ack):
            signed = event.answer.startswith("-----BEGIN SSH SIGNATURE-----")
            digest = hashlib.sha256(event.answer.encode()).hexdigest()
            said = f"an SSH signature, SHA-256 {digest[:32]}" if signed else event.answer
            assert f"{event.name} as {event.role}: {said}" in page
        if isinstance(event, Decided):
            assert all(finding.rule in page for finding in event.findings)
    (index,) = tables(found, "events")
    numbers = [row[0][0].numbers[0] for row in index.rows]  # type: ignore[union-attr]
    assert numbers == [line.seq + 1 for line in log.lines]


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_at_most_80_columns_and_says_where_it_belongs(kind: str) -> None:
    found = report(bundle(kind))
    lines = text(found).splitlines()
    assert lines[0] == found.banner.line
    assert max(map(len, lines)) <= WIDTH
    assert lines.count(found.banner.line) >= len(found.sections) + 2


def test_a_rehearsal_says_so_on_every_printed_page() -> None:
    lines = text(report(bundle("happy"))).splitlines()
    places = [number for number, line in enumerate(lines) if "REHEARSAL" in line]
    assert max(b - a for a, b in pairwise(places)) <= PAGE + 4


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("misheard", "login failed"),
        ("misheard", "read_back.verdict: refused"),
        ("misheard", "open.clock_verdict: refused"),
        ("resumed", "started again"),
        ("resumed", "none was recorded, a signature may exist that nobody holds"),
        ("aborted", "ended by Kim Keys (kim)"),
        ("aborted", "the serial number on the bag is another one"),
        ("disputed", "Ines Inner (ines) disagrees"),
        ("disputed", "do not agree: the door was open"),
        ("refused_quorum", "no attestation of this builder is here"),
        ("refused_quorum", "No signature was verified."),
        ("refused_policy", "POL-OWNERS"),
        ("refused_policy", "No policy was accepted"),
        ("refused_policy", "No image was judged."),
        ("happy", "No exception, lock, restart, failure, wrong answer or disagreement"),
        ("happy", "1 of 1 needed approvals: Kim Keys (kim) in event 26."),
        ("happy", "asserted by module: The attributes below are what the PKCS#11 module claims."),
        ("happy", "sbverify 0.9.4: accepted exit 0: Signature verification OK (event 32)"),
        ("happy", "Kernel version 6.1.0-tiny"),
        ("happy", "Command line console=ttyS0 quiet"),
        ("happy", "PRETTY_NAME=Tiny UKI 1"),
    ],
)  # fmt: skip
def test_what_a_reader_looks_for(kind: str, said: str) -> None:
    assert said in " ".join(text(report(bundle(kind))).split())


# Heads


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_head_words_are_those_of_the_checkpoint(kind: str) -> None:
    found = record(bundle(kind))
    assert found.found.head
    assert gates(found)[-1][1:] == (len(found.log.lines), found.found.head.spoken)


def test_head_words_stand_after_the_last_event_of_each_step() -> None:
    names = [event.line.event.name for event in happy().numbered]
    for step, number, words in gates(happy()):
        assert names[number - 1].startswith(f"{step}.")
        assert number == len(names) or not names[number].startswith(f"{step}.")
        assert len(words.split()) == 6
    assert len(gates(happy())) == 10


# Release


def test_only_a_sound_witnessed_production_signature_supports_a_release() -> None:
    good = replace(happy(), found=replace(happy().found, mode="production"))
    assert summary.against_release(good) == ()
    assert summary.against_release(happy()) == ("the mode is rehearsal",)
    for change in ({"outcome": "disputed"}, {"witnesses": ()}, {"needed": 0}):
        spoiled = replace(good, found=replace(good.found, **change))
        assert len(summary.against_release(spoiled)) == 1
    assert "there is no signed image" in summary.against_release(record(bundle("aborted")))


# Records that do not hold


@pytest.mark.parametrize("verdict", SPOILED)
def test_a_record_that_does_not_hold_never_looks_like_a_good_one(verdict: str) -> None:
    found = report(SPOILED[verdict](bundle("happy")))
    plain, page = text(found), html(found)
    assert plain.startswith(f"{verdict} - REHEARSAL - ceremony ")
    assert f"<title>{verdict} - REHEARSAL" in page
    assert f'@top-left {{ content: "{verdict} - REHEARSAL"' in page
    assert re.search(rf'class="edge"[^>]*>{verdict} REHEARSAL<', page)
    assert '<body class="unsound practice">' in page
    assert "REPRODUCED" not in plain.replace("Even where replay says REPRODUCED", "")
    assert "This record supports" not in plain
    assert "evidence: " not in plain
    assert plain.count(f"{verdict}: what follows is only claimed.") == len(found.sections)
    assert "What replay found" in plain


@pytest.mark.parametrize("verdict", ["FORGED", "DIFFERS"])
def test_no_code_is_drawn_of_a_checkpoint_that_cannot_be_relied_on(verdict: str) -> None:
    found = report(SPOILED[verdict](bundle("happy")))
    assert pictures(found) == []
    assert len(pictures(report(bundle("happy")))) == 1


def test_a_transcript_cut_anywhere_is_reported() -> None:
    files = bundle("resumed")
    lines = files["transcript.jsonl"].splitlines(keepends=True)
    for count in range(0, len(lines), 3):
        cut = b"".join(lines[:count]) + (lines[count][:20] if count % 2 else b"")
        found = report({**files, "transcript.jsonl": cut})
        assert text(found).startswith(("FORGED", "INCOMPLETE", "DIFFERS"))
        assert html(found).endswith("</html>\n")


def test_an_empty_folder_is_reported() -> None:
    assert text(report({})).startswith("INCOMPLETE - UNKNOWN MODE - ceremony unknown\n")
