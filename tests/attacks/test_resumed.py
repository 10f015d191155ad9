"""Who holds the logs while a ceremony is interrupted gains nothing by it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any, cast

import pytest
import rehearsing
from killing import run_and_die
from marks import refuses

from ceremony.codec import Json
from ceremony.engine import Rules, begin, resume_question, step
from ceremony.errors import OutOfOrder, Refused
from ceremony.events import FORMAT, Aborted, Ack, Begun, Outcome, Recovered
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from ceremony.states import Open, Resumed
from ceremony.types import Mode
from transcripts.canon import canonical
from transcripts.log import FIRST, link
from tui import wiring
from tui.plain import PlainFace
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold


def line_of(prepared: Prepared, name: str) -> int:
    """Return how many lines there are up to and with the first event of this name."""
    return rehearsing.names(prepared).index(name) + 1


def rewrite(prepared: Prepared, lines: list[dict[str, Json]]) -> None:
    """Write both logs anew with these lines, chained as they must be."""
    raw: list[bytes] = []
    for seq, line in enumerate(lines):
        line["seq"], line["prev"] = seq, link(raw[-1]) if raw else FIRST
        raw.append(canonical(line))
    for log in prepared.logs:
        (log / "transcript.jsonl").write_bytes(b"".join(r + b"\n" for r in raw))


def lines_of(prepared: Prepared) -> list[dict[str, Json]]:
    data = (prepared.logs[0] / "transcript.jsonl").read_bytes()
    return [json.loads(line) for line in data.splitlines()]


class Watching(ScriptFace):
    """Remembers every question."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__(prepared.sheet, io.StringIO())
        self.asked: list[Question] = []

    def answer(self, question: Question) -> Answer | Interruption:
        self.asked.append(question)
        return super().answer(question)


@refuses("APP-PERSON")
@pytest.mark.parametrize("at", ["8", "14", "20", "29", "33", "38"])
def test_only_the_internal_witness_lets_a_ceremony_go_on(prepared: Prepared, at: str) -> None:
    run_and_die(prepared, "after", at)
    face = Watching(prepared)
    assert hold(rehearsing.places_of(prepared), face).released
    first = face.asked[0]
    assert (first.name, first.role, first.persons) == (
        "ceremony.resume",
        "internal witness",
        ("ines",),
    )
    assert any("rehearsal" in line for line in first.shown)


@refuses("TRN-ORDER", "TRN-DECISION")
def test_a_rehearsal_whose_first_line_is_relabelled_does_not_resume(prepared: Prepared) -> None:
    run_and_die(prepared, "after", "20")
    lines = lines_of(prepared)
    begun = lines[0]["body"]
    assert isinstance(begun, dict)
    begun["mode"] = "production"
    rewrite(prepared, lines)
    with pytest.raises(Refused) as refused:
        hold(rehearsing.production(prepared), PlainFace(0, io.StringIO()))
    assert refused.value.findings[0].rule == "TRN-ORDER"


def test_a_log_that_others_closed_is_compared_by_the_witness_before_it_is_published(
    prepared: Prepared,
) -> None:
    ended = rehearsing.held(prepared, {"seal.statement": ("do not agree: no",)})
    assert ended.closed.outcome is Outcome.DISPUTED
    lines = lines_of(prepared)
    for line in lines:
        if line["event"] == "seal.statement" and isinstance(line["body"], dict):
            line["body"]["answer"] = "agree"
    closing = cast("dict[str, Any]", lines[-1]["body"])
    closing["outcome"], closing["findings"] = "ok", []
    said = closing["facts"]["statements"]
    closing["facts"]["statements"] = [[role, person, "agree"] for role, person, _ in said]
    rewrite(prepared, lines)
    for path in (*prepared.out.glob("checkpoint*"), prepared.out / "SHA256SUMS"):
        path.unlink()

    class Careful(Watching):
        def answer(self, question: Question) -> Answer | Interruption:
            self.asked.append(question)
            return Aborted("ines", "the words differ from my paper")

    face = Careful(prepared)
    with pytest.raises(EOFError):
        hold(rehearsing.places_of(prepared), face)
    assert [q.name for q in face.asked] == ["close.resume"]
    assert not (prepared.out / "SHA256SUMS").exists()


@refuses("MED-OUTPUT")
def test_resuming_into_another_bundle_leaves_that_bundle_alone(
    prepared: Prepared, finished: Prepared
) -> None:
    (finished.out / "notes.txt").write_text("mine")
    run_and_die(prepared, "after", "30")
    places = replace(rehearsing.places_of(prepared), out=finished.out)
    before = {p: p.read_bytes() for p in finished.out.rglob("*") if p.is_file()}
    with pytest.raises(Refused) as refused:
        hold(places, rehearsing.script(prepared))
    assert refused.value.findings[0].rule == "MED-OUTPUT"
    assert {p: p.read_bytes() for p in finished.out.rglob("*") if p.is_file()} == before


def test_another_program_that_resumes_is_named(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_and_die(prepared, "after", "15")
    monkeypatch.setattr(wiring, "tool_sha256", lambda: "f" * 64)
    face = Watching(prepared)
    assert hold(rehearsing.places_of(prepared), face).released
    assert any("ANOTHER PROGRAM" in line for line in face.asked[0].shown)


def test_an_abort_after_outputs_were_written_takes_the_signed_image_back(
    prepared: Prepared,
) -> None:
    run_and_die(prepared, "before", str(37))
    assert (prepared.out / "anchor.signed.efi").exists()

    class Aborts(ScriptFace):
        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == "ceremony.resume":
                return Aborted("ines", "the room was left")
            return super().answer(question)

    ended = hold(rehearsing.places_of(prepared), Aborts(prepared.sheet, io.StringIO()))
    assert ended.closed.outcome is Outcome.ABORTED
    assert not list(prepared.out.glob("*.signed.efi"))
    assert not list(prepared.out.glob("*.p7"))
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_roles_are_part_of_what_was_said(finished: Prepared) -> None:
    rules = Rules({finished.image_sha256: (finished.out / "anchor.efi").read_bytes()})
    state = begin()
    for event in rehearsing.events(finished):
        if isinstance(event, Ack):
            other = Ack(event.name, "key bearer", event.person, event.shown, event.answer)
            with pytest.raises(OutOfOrder):
                step(state, other, rules)
        state, _ = step(state, event, rules)


@pytest.mark.parametrize(
    ("mode", "word"), [(Mode.REHEARSAL, "rehearsal"), (Mode.PRODUCTION, "ceremony")]
)
def test_what_is_resumed_is_called_what_people_call_it(mode: Mode, word: str) -> None:
    begun = Begun(FORMAT, "0" * 32, mode, "1", (), "2026.11.0", "0" * 64, "3.13.0", ("a",), None)
    again = Recovered(1, "", (), (), "2026.11.0", "0" * 64)
    question = resume_question(Resumed(Open(begun), again))
    assert question.shown[0] == f"This {word} was interrupted and is resumed."
