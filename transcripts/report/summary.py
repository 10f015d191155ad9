"""The first page: what replay says, what came of the ceremony, and what may be done with it.

Decides the banner and the sentence on release. A record that replay does not reproduce is
never described in a good one's words: its title block says what it claims.
"""

from __future__ import annotations

from ceremony.events import ClockRead, Outcome, TimeFixed
from ceremony.types import Mode
from transcripts.replay import Verdict
from transcripts.report import deviations
from transcripts.report.document import (
    Banner,
    Block,
    Bullets,
    Cell,
    Code,
    Events,
    Facts,
    Mark,
    Paragraph,
    RuleId,
    Section,
    code,
)
from transcripts.report.record import Record, member

SAYS = {
    Verdict.REPRODUCED: "Every decision was recomputed from the record and is the same.",
    Verdict.INCOMPLETE: "Something is missing, so this record proves nothing yet.",
    Verdict.DIFFERS: "A decision or a file is not what the record leads to. Do not rely on it.",
    Verdict.FORGED: "Chain, order, checkpoint or a signature does not hold. Do not rely on it.",
}
MOST_FINDINGS = 50
MOST_NUMBERS = 12


def banner(record: Record) -> Banner:
    """Return what stands first and on every page."""
    found = record.found
    return Banner(
        verdict=str(found.verdict),
        mode=found.mode.upper() or "UNKNOWN MODE",
        ceremony=found.ceremony,
        sound=record.sound,
        says=SAYS[found.verdict],
    )


def section(record: Record) -> Section:
    """Return the first section."""
    blocks: list[Block] = [Paragraph((_release(record),))]
    blocks += _findings(record)
    blocks.append(
        Facts("The ceremony" if record.sound else "What the record claims", _title(record))
    )
    return Section("summary", "Summary", tuple(blocks))


def _release(record: Record) -> str:
    reasons = against_release(record)
    if not reasons:
        return (
            "This record supports the release of the signed image: replay reproduced it, the "
            "ceremony was a production ceremony, its outcome is ok, and enough witnesses signed."
        )
    return f"This record does not support a release: {'; '.join(reasons)}."


def against_release(record: Record) -> tuple[str, ...]:
    """Return every reason why the signed image may not be released by this record."""
    found = record.found
    few = len(found.witnesses) < found.needed or found.needed < 1
    reasons = (
        (not record.sound, f"replay says {found.verdict}"),
        (found.mode != Mode.PRODUCTION, f"the mode is {found.mode or 'unknown'}"),
        (found.outcome != Outcome.OK, f"the outcome is {found.outcome}"),
        (few, f"{len(found.witnesses)} of {found.needed} witnesses signed the checkpoint"),
        (not _signed(record), "there is no signed image"),
    )
    return tuple(text for holds, text in reasons if holds)


def _findings(record: Record) -> list[Block]:
    found = record.found.findings
    if not found:
        return []
    items: tuple[Cell, ...] = tuple((RuleId(f.rule), f": {f.text}") for f in found[:MOST_FINDINGS])
    if len(found) > MOST_FINDINGS:
        items += ((f"and {len(found) - MOST_FINDINGS:,} more",),)
    said = "What replay found:"
    return [Paragraph((said,)), Bullets(items)]


def _title(record: Record) -> tuple[tuple[str, Cell], ...]:
    found, begun = record.found, record.begun
    good = record.sound and found.outcome == Outcome.OK
    rows: list[tuple[str, Cell]] = [
        ("Replay", (Mark(str(found.verdict), record.sound), f". {SAYS[found.verdict]}")),
        ("Outcome", (Mark(found.outcome, good), *_why(record))),
        ("Mode", (Mark(found.mode or "unknown", found.mode == Mode.PRODUCTION),)),
        ("Ceremony id", code(found.ceremony)),
        ("Events", (f"{found.events:,}",)),
        *_times(record),
        *_policy(record),
        ("Image", _image(record)),
        ("Signed image SHA-256", code(_signed(record))),
        ("Witnesses", _witnesses(record)),
        ("Deviations", _deviations(record)),
    ]
    if begun:
        rows += [
            ("Program", (f"{begun.tool}, rule set {begun.ruleset}, Python {begun.python}",)),
            ("Program SHA-256", code(begun.tool_sha256)),
            ("Logs", (", ".join(begun.logs),)),
            ("Earlier head", _earlier(begun.previous_head)),
        ]
    return tuple(rows)


def _why(record: Record) -> Cell:
    closed = record.decided("close.transcript")
    if closed is None:
        return (", there is no close line",)
    number, decided = closed
    rules = [run for f in decided.findings for run in (", ", RuleId(f.rule))]
    return (*rules, " (", Events((number,)), ")")


def _times(record: Record) -> list[tuple[str, Cell]]:
    rows: list[tuple[str, Cell]] = []
    lines = record.numbered
    if lines:
        first, last = lines[0].line.time.wall, lines[-1].line.time.wall
        rows.append(("Machine's clock", (f"{first} to {last}, as it claims",)))
    clock, read = record.last(ClockRead), record.acks("open.clock_read")
    verdict = record.decided("open.clock_verdict")
    if clock and read:
        number, ack = read[-1]
        drift = member(verdict[1].facts, "drift_seconds") if verdict else ""
        apart = f", {drift} s apart" if drift else ""
        text = f"{ack.answer} UTC, read by {record.who(ack.person)}{apart} ("
        rows.append(("Witness's clock", (text, Events((number,)), ")")))
    fixed = record.last(TimeFixed)
    if fixed:
        rows.append(("Signing time", (f"{fixed[1].wall} (", Events((fixed[0],)), ")")))
    return rows


def _policy(record: Record) -> list[tuple[str, Cell]]:
    decided = record.decided("open.policy_verdict")
    if decided is None:
        return []
    facts = decided[1].facts
    name, sequence = member(facts, "policy_id"), member(facts, "sequence")
    said = f"{name}, sequence {sequence} (" if name else "none that could be read ("
    return [
        ("Policy", (said, Events((decided[0],)), ")")),
        ("Policy SHA-256", code(member(facts, "sha256"))),
    ]


def _image(record: Record) -> Cell:
    judged = record.decided("inspect.verdict")
    name = member(judged[1].facts, "meaning", "kernel") if judged else ""
    media = [(n, e.image) for n, e in record.media if e.image]
    if not media:
        return ("none was taken in",)
    number, image = media[-1]
    kernel = f", kernel {name}" if name else ""
    return (Code(image.path), f", {image.size:,} bytes{kernel} (", Events((number,)), ")")


def _signed(record: Record) -> str:
    closed = record.decided("close.transcript")
    return member(closed[1].facts, "signed_sha256") if closed else ""


def _earlier(head: str | None) -> Cell:
    return code(head) if head else ("none is named",)


def _deviations(record: Record) -> Cell:
    """Say on the first page that there is more to read than a smooth course."""
    found = deviations.numbers(record)
    if not found:
        return ("none is recorded",)
    more = ", ..." if len(found) > MOST_NUMBERS else ""
    return (f"{len(found):,}, each told below (", Events(found[:MOST_NUMBERS]), f"{more})")


def _witnesses(record: Record) -> Cell:
    found = record.found
    names = ", ".join(record.who(person) for person in found.witnesses)
    text = f"{len(found.witnesses)} of {found.needed} countersigned"
    return (f"{text}: {names}" if names else text,)
