"""One sentence for each event, for the index that references lead to."""

from __future__ import annotations

from ceremony.events import (
    Aborted,
    Ack,
    Begun,
    ClockRead,
    Decided,
    Drawn,
    Event,
    Excepted,
    Intended,
    Locked,
    LoggedIn,
    MachineSurveyed,
    MediaFailed,
    MediaRead,
    OutputsFailed,
    OutputsIntended,
    OutputsWritten,
    PolicyRead,
    Recovered,
    RoomMeasured,
    SecondOpinion,
    Signed,
    TimeFixed,
    TokenFailed,
    TokenProbed,
)
from transcripts.report.document import Section, Table, bare, cell, code
from transcripts.report.record import Record, answer_of

MOST_EVENTS = 5000
MOST_CHARACTERS = 300


def index(record: Record) -> Section:
    """Return every event: number, name, the clock's claim, a sentence."""
    rows = tuple(
        (
            bare(numbered.number),
            code(numbered.event.name),
            cell(numbered.line.time.wall),
            cell(_short(sentence(record, numbered.event))),
        )
        for numbered in record.numbered[:MOST_EVENTS]
    )
    head = ("Event", "Name", "Clock", "What it says")
    more = max(0, len(record.numbered) - MOST_EVENTS)
    table = Table("Every event of the transcript", head, rows, more, anchor="event")
    return Section("events", "Index of events", (table,))


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def sentence(record: Record, event: Event) -> str:  # noqa: C901, PLR0911, PLR0912 - an arm each
    """Return what an event says, in one sentence."""
    match event:
        case Ack():
            return f"{record.who(event.person)}, {event.role}, answered: {answer_of(event)}"
        case Decided():
            rules = ", ".join(dict.fromkeys(finding.rule for finding in event.findings))
            return f"Decided: {event.outcome}" + (f" ({rules})." if rules else ".")
        case Begun():
            return f"A {event.mode} began with {event.tool}, rule set {event.ruleset}."
        case PolicyRead():
            return f"The policy was read, with {len(event.signatures)} signatures."
        case ClockRead():
            return f"The machine's clock said {event.wall}."
        case MachineSurveyed():
            return (
                f"The machine runs kernel {event.machine.kernel} on {event.machine.architecture}."
            )
        case MediaRead():
            return f"A medium with {len(event.manifest):,} files was read; {_image(event)}."
        case Drawn():
            places = ", ".join(str(place) for place in event.positions)
            return f"The words numbered {places} were drawn to be asked for."
        case TokenProbed():
            found = event.evidence
            return (
                f"Token {found.token_label}, serial {found.token_serial}, answered without a PIN."
            )
        case RoomMeasured():
            return f"The output medium had {event.output_free:,} bytes free."
        case TimeFixed():
            return f"The signing time was fixed at {event.wall}."
        case LoggedIn():
            return f"{record.whos(event.persons)} logged in: {event.result.outcome}."
        case Intended():
            return f"Attempt {event.attempt} was recorded before the token was asked to sign."
        case Signed():
            return f"Attempt {event.attempt} came back: {event.result.outcome}."
        case SecondOpinion():
            return f"{event.tool} on the signed image: {event.answer}."
        case OutputsIntended():
            return f"{len(event.files)} outputs were about to be written."
        case OutputsWritten():
            return f"{len(event.files)} outputs were read back from the medium."
        case MediaFailed() | TokenFailed() | OutputsFailed():
            return f"Failure, {event.rule}: {event.text}"
        case Excepted():
            return f"{record.who(event.person)} noted an exception: {event.happened}"
        case Aborted():
            return f"{record.who(event.person)} ended the ceremony: {event.reason}"
        case Locked():
            return f"The screen was locked for {event.seconds:,} seconds."
        case Recovered():
            return f"The program was started again behind {event.lines:,} lines."
        case _:
            return "Recorded."


def _image(event: MediaRead) -> str:
    return f"the image is {event.image.path}" if event.image else "no image was on it"
