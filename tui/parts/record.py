"""What is recorded, verbatim: the events so far, and what F9 would add to them now."""

from __future__ import annotations

from ceremony.codec import Json, encode
from ceremony.effects import Login
from ceremony.events import Ack, Event
from ceremony.pin_uses import PinUse
from ceremony.questions import Form, Question
from transcripts.canon import canonical
from tui.faces import Closing
from tui.parts.lines import FAINT, STRONG, Line
from tui.parts.view import Entry, View

MOST_CHARACTERS = 3000


def event_text(event: Event) -> str:
    """Return an event's body as canonical JSON, cut where it is very long."""
    body = encode(event)
    if isinstance(body, dict):
        body.pop("name", None)
    return _cut(canonical(body).decode("utf-8"))


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]} ... ({len(text):,} characters, whole in the transcript)"


def pending_lines(view: View, person: str, typed: str) -> tuple[Line, ...]:
    """Return what going on would record now."""
    match view.wanted:
        case Question(form=Form.SIGNATURE) as question:
            return (
                Line(
                    f"F9 records {question.name} (ack): the signature that is in the file", STRONG
                ),
            )
        case Question() as question:
            ack = Ack(question.name, question.role, person or "(nobody yet)", question.shown, typed)
            return (Line(f"F9 records {ack.name} ({ack.kind})", STRONG), Line(event_text(ack)))
        case Login() as login:
            persons = [*login.typed, person or "(nobody yet)"]
            body: Json = {"persons": [*persons], "result": "as the token reports it"}
            if login.use is PinUse.SIGNATURE:
                text = "F9 records sign.result (effect): what the token reports, never the PIN"
                return (Line(text, STRONG),)
            return (
                Line("F9 records sign.login (effect), never the PIN or its length", STRONG),
                Line(canonical(body).decode("utf-8")),
            )
        case Closing():
            return (Line("The transcript is closed; nothing is recorded any more.", STRONG),)
        case None:
            return (Line("Nothing is asked now.", STRONG),)


def recorded_lines(entries: tuple[Entry, ...]) -> tuple[Line, ...]:
    """Return the recorded events, the newest first."""
    lines: list[Line] = []
    for entry in reversed(entries):
        lines += (
            Line(f"{entry.head.count:04d} {entry.event.name} ({entry.event.kind})", STRONG),
            Line(f"     {entry.head.spoken}", FAINT),
            Line(event_text(entry.event)),
        )
    return tuple(lines)
