"""What every step's screen is: the frame, the facts, one question, and the function keys.

A screen is a function of the view it is shown. It posts what a person did and decides
nothing: whether an answer holds is decided by the rules.
"""

from __future__ import annotations

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from ceremony.events import Aborted, Excepted, Locked
from ceremony.steps import Step
from tui.console import COLUMNS, ROWS, too_small
from tui.faces import Closing
from tui.guides import SCREEN, Guide, beside
from tui.parts import dialogs, frame, messages, notice, record
from tui.parts.asking import Asking
from tui.parts.frame import Bar
from tui.parts.guide import EVERYWHERE, lines_of, standing
from tui.parts.lines import ASKED, Line, styled
from tui.parts.page import Page
from tui.parts.view import View


class StepScreen(Screen[None], inherit_bindings=False):
    """The base of the ten screens."""

    STEP: ClassVar[Step]
    GUIDE: ClassVar[Guide]
    EVERYWHERE: ClassVar[tuple[str, ...]] = EVERYWHERE
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("F1", "Help"),
        ("F2", "Record"),
        ("F3", "Exception"),
        ("F8", "Lock"),
        ("F9", "Go on"),
        ("F10", "Abort"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        ("f1", "help", "Help"),
        ("f2", "record", "Record"),
        ("f3", "exception", "Exception"),
        ("f8", "lock", "Lock"),
        ("f9", "go_on", "Go on"),
        ("f10", "abort", "Abort"),
        ("tab", "app.focus_next", "Next field"),
        ("shift+tab", "app.focus_previous", "Field before"),
        ("pagedown", "turn(1)", "Page down"),
        ("pageup", "turn(-1)", "Page up"),
    ]

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view
        self._composed = False
        self._was_focused: Widget | None = (
            None  # where the cursor was before the window became too small
        )

    def before(self, view: View) -> tuple[Line, ...]:  # noqa: ARG002 - what subclasses draw
        """Return what the step draws before the lines of the question."""
        return ()

    def after(self, view: View) -> tuple[Line, ...]:  # noqa: ARG002 - what subclasses draw
        """Return what the step draws after the lines of the question."""
        return ()

    def compose(self) -> ComposeResult:
        """Make the frame and the parts of the body."""
        yield Bar(id="top")
        yield Bar(id="head")
        yield Static("", id="small", markup=False)
        with Horizontal(id="middle"):
            yield Bar(id="steps")
            yield Static("", id="code", markup=False)
            with Vertical(id="body"):
                yield Bar(id="title")
                yield (page := Page(id="facts"))
                yield Asking(self.view, page)
        yield Bar(id="keys")

    def on_mount(self) -> None:
        """Draw the view that the screen was made with."""
        self._composed = True
        self.show(self.view)

    def on_resize(self) -> None:
        """Say so when the window became too small."""
        columns, rows = self.size
        small = columns < COLUMNS or rows < ROWS
        if small:
            self._was_focused = (
                self.focused or self._was_focused
            )  # Textual takes the focus off what is hidden
            self.query_one("#small", Static).update(too_small(columns, rows))
        self.set_class(small, "-small")
        if not small and self._was_focused:
            self.set_focus(self._was_focused)
            self._was_focused = None

    def on_screen_resume(self) -> None:
        """Tell that this screen is in front (again)."""
        self.post_message(messages.Back())

    @property
    def guide(self) -> Guide:
        """Return the step's page of the runbook."""
        return self.GUIDE

    @property
    def asking(self) -> Asking:
        """Return the part with the fields."""
        return self.query_one("#asking", Asking)

    @property
    def page(self) -> Page:
        """Return the part with the facts."""
        return self.query_one("#facts", Page)

    # What is drawn

    def show(self, view: View) -> None:
        """Draw another view; what did not change is not drawn again."""
        self.view = view
        if not self._composed:
            return
        legal = [pair for pair in self.KEYS if view.wanted is not None or pair[0] != "F9"]
        title = f"{self.STEP.number} of {len(Step)}  {self.STEP.heading.upper()}"
        self.query_one("#top", Bar).draw(frame.top(view))
        self.query_one("#head", Bar).draw(frame.head(view))
        self.query_one("#steps", Bar).draw(frame.checklist(view))
        self.query_one("#keys", Bar).draw(frame.keys(legal))
        self.query_one("#title", Bar).draw(Content(title))
        self.page.show(self.facts(view))
        self.asking.show(view)

    def facts(self, view: View) -> tuple[Line, ...]:
        """Return all lines of the page."""
        shown = () if isinstance(view.wanted, Closing | None) else view.wanted.shown
        before = self.before(view)
        gap = (Line(""),) if before and shown else ()
        keys = beside(shown, SCREEN)
        return (*before, *gap, *styled(shown), *styled((keys,) if keys else ()), *self.after(view))

    # What the function keys do

    def action_turn(self, pages: int) -> None:
        """Turn the page."""
        self.page.turn(pages)
        self.asking.hint("")
        self.asking.arm_soon()

    def action_go_on(self) -> None:
        """Submit what was typed, if it may be; not while the window hides what is asked."""
        if not self.has_class("-small"):
            self.asking.submit()

    def action_help(self) -> None:
        """Show the step's page of the runbook."""
        title = f"HELP: {self.STEP.heading.upper()}"
        lines = lines_of(self.guide, self.EVERYWHERE)
        self.app.push_screen(dialogs.Reading(self.view, title, lines))

    def action_record(self) -> None:
        """Show what is recorded, and what going on would record."""
        lines = (
            *record.pending_lines(self.view, self.asking.person, self.asking.typed),
            Line(""),
            *notice.findings_lines(self.view.findings),
            Line("Recorded so far, the newest first", ASKED),
            *record.recorded_lines(self.view.recorded),
        )
        self.app.push_screen(dialogs.Reading(self.view, "WHAT IS RECORDED", lines))

    def action_exception(self) -> None:
        """Let a person note a deviation."""
        if self.view.closed:
            self.asking.hint("The transcript is closed; write it on paper.")
            return
        self.app.push_screen(dialogs.ExceptionSheet(self.view), self._interrupted)

    def action_lock(self) -> None:
        """Cover the screen until a person's id is typed."""
        self.asking.forget_pin()
        self.app.push_screen(dialogs.Lock(self.view, time.monotonic), self._interrupted)

    def action_abort(self) -> None:
        """Let a person end the ceremony, with a reason."""
        self.app.push_screen(dialogs.AbortSheet(self.view, standing(self.view)), self._interrupted)

    def _interrupted(self, event: Excepted | Aborted | Locked | None) -> None:
        if event is not None:
            self.asking.interrupted()
            self.post_message(messages.Interrupted(event))
