"""What went beside the script: exceptions, aborts, locks, restarts, troubles, wrong answers."""

from __future__ import annotations

from ceremony.events import (
    Aborted,
    Ack,
    Decided,
    Event,
    Excepted,
    Locked,
    LoggedIn,
    MediaFailed,
    Outcome,
    OutputsFailed,
    Recovered,
    Signed,
    TokenFailed,
)
from ceremony.questions import agrees
from transcripts.report.document import Cell, Lines, Paragraph, RuleId, Section, Table, bare, cell
from transcripts.report.record import Record

MOST_ROWS = 1000


def section(record: Record) -> Section:
    """Return the section on deviations."""
    rows = []
    for numbered in record.numbered:
        found = deviation(record, numbered.event)
        if found:
            rows.append((bare(numbered.number), cell(found[0]), found[1]))
    if not rows:
        text = "No exception, lock, restart, failure, wrong answer or disagreement is recorded."
        return Section("deviations", "Exceptions and deviations", (Paragraph((text,)),))
    head = ("Event", "What", "As recorded")
    more = max(0, len(rows) - MOST_ROWS)
    table = Table("Everything beside the script", head, tuple(rows[:MOST_ROWS]), more)
    return Section("deviations", "Exceptions and deviations", (table,))


def numbers(record: Record) -> tuple[int, ...]:
    """Return the numbers of the events that this section tells of."""
    return tuple(n.number for n in record.numbered if deviation(record, n.event))


def deviation(record: Record, event: Event) -> tuple[str, Cell] | None:
    """Return what an event says that is not of an undisturbed ceremony."""
    match event:
        case Excepted():
            lines = (
                f"Expected: {event.expected}",
                f"Happened: {event.happened}",
                f"Decided:  {event.decided}",
            )
            return f"exception noted by {record.who(event.person)}", (Lines(lines),)
        case Aborted():
            return f"ended by {record.who(event.person)}", (event.reason,)
        case Locked():
            said = f"{event.seconds:,} s, unlocked by {record.who(event.person)}"
            return "screen locked", (said,)
        case Recovered():
            return "started again", (Lines(_recovered(event)),)
        case LoggedIn() if event.result.outcome != "ok":
            said = f"{record.whos(event.persons)}: {event.result.outcome}"
            return "login failed", (f"{said}, PIN state {event.result.pin_state}",)
        case TokenFailed() | MediaFailed() | OutputsFailed():
            return "failure", (RuleId(event.rule), f": {event.text}")
        case Signed() if event.result.outcome != "signed":
            said = f"attempt {event.attempt}: {event.result.outcome} {event.result.text}"
            return "no signature came back", (said.rstrip(),)
        case Ack(name="seal.statement") if not agrees(event.answer):
            return f"{record.who(event.person)} disagrees", (event.answer,)
        case Ack(name="judge.override"):
            return f"veto set aside by {record.who(event.person)}", (event.answer,)
        case Decided() if event.outcome is not Outcome.OK:
            return f"{event.name}: {event.outcome}", _rules(event)
        case _:
            return None


def _rules(decided: Decided) -> Cell:
    refused = [f for f in decided.findings if f.severity == "refuse"]
    found = refused or list(decided.findings)
    return tuple(run for f in found[:8] for run in (RuleId(f.rule), f": {f.text} ")) or (
        "as recorded",
    )


def _recovered(event: Recovered) -> tuple[str, ...]:
    return (
        f"{event.lines:,} lines were there, head words: {event.head}",
        *(f"set aside: {text}" for text in event.torn),
        *(f"written again: {text}" for text in event.repaired),
        *((f"by {event.tool}, {event.tool_sha256}",) if event.tool else ()),
    )
