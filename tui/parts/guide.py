"""A step's page of the runbook, and what a person about to abort must know."""

from __future__ import annotations

from ceremony.events import Intended, Signed
from ceremony.states import Seal, Sign, Verify
from tui.guides import SCREEN, Guide
from tui.parts.lines import STRONG, Line
from tui.parts.view import View, inner

EVERYWHERE = (
    " F2 shows verbatim what is recorded and what F9 would record.",
    " F3 notes a deviation; the ceremony goes on. F10 ends it, sealed.",
    " F8 locks the screen. Left alone, it locks by itself.",
    " Enter never confirms. Tab goes to the next field. F9 goes on.",
)
ONCE_CLOSED = (
    " F2 shows verbatim what was recorded; nothing is recorded any more.",
    " F8 locks the screen. Enter never confirms. F9 goes on.",
)


def lines_of(guide: Guide, everywhere: tuple[str, ...]) -> tuple[Line, ...]:
    """Return a step's page, with this face's keys and what they always do."""
    page = guide.said(SCREEN)
    return (
        Line(page.what, hang=0),
        Line(""),
        Line("Do", STRONG),
        *(Line(f" {n}. {text}", hang=4) for n, text in enumerate(page.do, start=1)),
        Line(""),
        Line("If something is not as it should be", STRONG),
        *(Line(f" If {case}: {then}", hang=4) for case, then in page.cases),
        Line(""),
        Line("On every screen", STRONG),
        *(Line(text) for text in everywhere),
    )


def standing(view: View) -> tuple[str, ...]:
    """Return what has and what has not happened, for a person who is about to abort."""
    return (
        _signature(view),
        "The transcript is kept and sealed with the reason you give.",
        "It cannot be taken back.",
    )


def _signature(view: View) -> str:
    made = [e.event for e in view.recorded if isinstance(e.event, Signed)]
    if any(event.result.outcome == "signed" for event in made):
        return "A signature WAS made. It is recorded, and stays so."
    intended = any(isinstance(e.event, Intended) for e in view.recorded)
    match inner(view.state):
        case Verify():
            return "A signature WAS made. It is recorded, and stays so."
        case Seal(signed=image) if image is not None:
            return "A signature WAS made. It is recorded, and stays so."
        case Sign(intent=None) if not intended:
            return "No signature was made."
        case Sign() | Seal():  # Seal: also reached after a restart, without the earlier events
            return "Whether a signature was made is in the transcript."
        case _:
            return "No signature was made."
