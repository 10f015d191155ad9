"""What stays in view on every screen: the two lines on top, the checklist, the keys.

Event number, ceremony, clock, mode and head words stand on every frame, so that a video
of the screen and the transcript can be matched.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widgets import Static

from ceremony.types import Mode
from tui.parts.lines import BAD_MARK, DONE, HERE, NOT_DONE
from tui.parts.view import View

MODE_STYLE = {
    Mode.REHEARSAL: "ansi_black on ansi_yellow",
    Mode.PRODUCTION: "ansi_bright_white on ansi_red",
}
MARK = {"done": DONE, "here": HERE, "failed": BAD_MARK, "skipped": NOT_DONE, "": " "}
STYLE = {
    "done": "ansi_white",
    "here": "ansi_bright_white",
    "failed": "ansi_bright_red",
    "skipped": "ansi_bright_red",
    "": "ansi_white",
}


class Bar(Static):
    """One line of text that is drawn anew only when it changes."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__("", id=id, markup=False)
        self._drawn = Content("")

    def draw(self, content: Content) -> None:
        """Show `content`."""
        if content.markup != self._drawn.markup:
            self._drawn = content
            self.update(content)


def top(view: View) -> Content:
    """Return the first line: event number, ceremony, clock, mode."""
    number = view.head.count if view.head else 0
    mode = (
        Content.styled(f" {view.mode.upper()} ", MODE_STYLE[view.mode])
        if view.mode
        else Content("")
    )
    return Content(f" Event {number:04d}  Ceremony {view.ceremony}  {view.clock}  ") + mode


def head(view: View) -> Content:
    """Return the second line: the six words of the head over all lines."""
    return Content(f" Head  {view.head.spoken if view.head else '(nothing is recorded yet)'}")


def checklist(view: View) -> Content:
    """Return the ten steps, each with its mark."""
    rows = [
        Content.styled(f"{MARK[how]} {step.number:2d} {step.heading}", STYLE[how])
        for step, how in view.marks()
    ]
    return Content("\n").join(rows)


def keys(pairs: Iterable[tuple[str, str]]) -> Content:
    """Return the line of keys and what they do."""
    parts = [
        Content.styled(key, "ansi_bright_yellow") + Content(f" {does}  ") for key, does in pairs
    ]
    return Content(" ") + Content("").join(parts)
