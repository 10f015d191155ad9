"""What every step's screen is: the frame, the facts, one question, and the function keys.

A screen is a function of the view it is shown. It posts what a person did and decides
nothing: whether an answer holds is decided by the rules. Enter confirms nothing, F9 does,
and only when all that is shown was in view; a dangerous answer only a second after that.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar, assert_never

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from ceremony.effects import Login
from ceremony.events import Aborted, Excepted, Locked
from ceremony.questions import Form, Question
from ceremony.states import Seal, Sign, State, Verify
from ceremony.steps import Step
from tui.console import COLUMNS, ROWS, too_small
from tui.faces import Closing
from tui.parts import dialogs, frame, messages, notice, record
from tui.parts.field import Entry, Field, PinField
from tui.parts.frame import Bar
from tui.parts.lines import ASKED, STRONG, Line, styled, wrap_all
from tui.parts.page import Page
from tui.parts.view import View, Wanted, inner

ARM_SECONDS = 1.0
NOTICE_ROWS, NOTICE_COLUMNS = 7, 62  # as look.tcss has it at 80x25
KEPT_FORMS = (Form.WORDS, Form.TIME, Form.STATEMENT, Form.REASON)


@dataclass(frozen=True, slots=True)
class Guide:
    """A step's page of the runbook: what happens, what to do, and if something differs."""

    what: str
    do: tuple[str, ...]
    cases: tuple[tuple[str, str], ...]

    def lines(self) -> tuple[Line, ...]:
        """Return the page's lines."""
        done = tuple(Line(f" {n}. {text}", hang=4) for n, text in enumerate(self.do, start=1))
        cases = tuple(Line(f" If {case}: {then}", hang=4) for case, then in self.cases)
        return (
            Line(self.what, hang=0),
            Line(""),
            Line("Do", STRONG),
            *done,
            Line(""),
            Line("If something is not as it should be", STRONG),
            *cases,
            Line(""),
            Line("On every screen", STRONG),
            Line(" F2 shows verbatim what is recorded and what F9 would record."),
            Line(" F3 notes a deviation; the ceremony goes on. F10 ends it, sealed."),
            Line(" Enter never confirms. Tab goes to the next field. F9 goes on."),
        )


class StepScreen(Screen[None], inherit_bindings=False):
    """The base of the ten screens."""

    STEP: ClassVar[Step]
    GUIDE: ClassVar[Guide]
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
        self._wanted: Wanted | None = None  # what the fields are ready for
        self._wanted_before: Wanted | None = None
        self._composed = False
        self._sent = False
        self._live = True
        self._arming: Timer | None = None
        self._hinted = ""

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
                yield Page(id="facts")
                yield Bar(id="prompt")
                with Horizontal(id="who"):
                    yield Bar(id="who_is")
                    yield Field(id="person", rows=1, rule="_")
                yield Field(id="answer")
                yield PinField(id="pin")
                yield Bar(id="notice")
        yield Bar(id="keys")

    def on_mount(self) -> None:
        """Draw the view that the screen was made with."""
        self._composed = True
        self.show(self.view)

    def on_resize(self) -> None:
        """Say so when the window became too small."""
        columns, rows = self.size
        small = columns < COLUMNS or rows < ROWS
        self.set_class(small, "-small")
        if small:
            self.query_one("#small", Static).update(too_small(columns, rows))

    def on_screen_resume(self) -> None:
        """Tell that this screen is in front (again)."""
        self.post_message(messages.Back())

    # What is drawn

    def show(self, view: View) -> None:
        """Draw another view; fields are made ready anew only for another question."""
        self.view = view
        if not self._composed:
            return
        self.query_one("#top", Bar).draw(frame.top(view))
        self.query_one("#head", Bar).draw(frame.head(view))
        self.query_one("#steps", Bar).draw(frame.checklist(view))
        legal = [pair for pair in self.KEYS if view.wanted is not None or pair[0] != "F9"]
        self.query_one("#keys", Bar).draw(frame.keys(legal))
        title = f"{self.STEP.number} of {len(Step)}  {self.STEP.heading.upper()}"
        self.query_one("#title", Bar).draw(Content(title))
        self.query_one("#facts", Page).show(self.facts(view))
        self._draw_asking(view)
        self._draw_notice()
        if view.wanted is None:
            self._wanted = None
        elif view.wanted != self._wanted:
            self._make_ready(view, view.wanted)

    def facts(self, view: View) -> tuple[Line, ...]:
        """Return all lines of the page."""
        shown = () if isinstance(view.wanted, Closing | None) else styled(view.wanted.shown)
        before = self.before(view)
        gap = (Line(""),) if before and shown else ()
        return (*before, *gap, *shown, *self.after(view))

    def prompt(self, view: View) -> str:
        """Return the sentence that asks."""
        match view.wanted:
            case Question(prompt=prompt):
                return prompt
            case Login(protected_path=True):
                return "F9 starts the login. Then enter the PIN on the token's own reader."
            case Login():
                return "The PIN: not shown, not recorded. Backspace clears it."
            case Closing():
                return "A countersignature"
            case None:
                return self._working(view)
            case other:
                assert_never(other)

    @staticmethod
    def _working(view: View) -> str:
        if view.progress is None:
            return "The machine works. Nothing is asked of you now."
        return "\n".join(notice.progress_lines(view.progress))

    def _draw_asking(self, view: View) -> None:
        self.query_one("#prompt", Bar).draw(Content(self.prompt(view)))
        self.query_one("#who_is", Bar).draw(Content(self._who(view)))
        several = len(view.persons) > 1
        pin = isinstance(view.wanted, Login)
        protected = isinstance(view.wanted, Login) and view.wanted.protected_path
        self.query_one("#who").display = bool(view.persons)
        self.query_one("#person").display = several
        self.query_one("#answer").display = view.wanted is not None and not pin
        self.query_one("#pin").display = pin and not protected

    @staticmethod
    def _who(view: View) -> str:
        role = view.wanted.role if isinstance(view.wanted, Question) else "key holder"
        if len(view.persons) == 1:
            return f"{view.persons[0]} ({role}) answers:"
        return f"Who answers ({' or '.join(view.persons)}): "

    def _hint(self, text: str) -> None:
        """Say something that is not a refusal, until a key is pressed."""
        self._hinted = text
        self._draw_notice()

    def _draw_notice(self) -> None:
        view, hint = self.view, self._hinted
        lines = list(notice.findings_lines(view.findings))
        if view.held:
            lines += notice.hint(f"{view.held} is recorded as soon as the machine is done.")
        if hint:
            lines += notice.hint(hint)
        elif view.wanted is not None and not self._live:
            lines += notice.hint("Keys are live one second after all of this was shown.")
        width = self.query_one("#notice").content_size.width or NOTICE_COLUMNS
        rows = wrap_all(lines, width)
        if len(rows) > NOTICE_ROWS:
            more = wrap_all(notice.hint("More was found: F2 shows all of it."), width)
            rows = (*rows[: NOTICE_ROWS - len(more)], *more)
        self.query_one("#notice", Bar).draw(Content("\n").join(rows))

    # The fields

    def _make_ready(self, view: View, wanted: Wanted) -> None:
        same = wanted == self._wanted_before
        keep = same and isinstance(wanted, Question) and wanted.form in KEPT_FORMS
        self._wanted = self._wanted_before = wanted
        answer, pin = self.query_one("#answer", Field), self.query_one("#pin", PinField)
        person = self.query_one("#person", Field)
        if not keep or view.dangerous:
            answer.clear()
        pin.clear()
        if not same or any(finding.rule == "APP-PERSON" for finding in view.findings):
            person.clear()
        field: Entry = pin if isinstance(wanted, Login) else answer
        (person if len(view.persons) > 1 and not person.text else field).focus()
        if self._arming:  # it counted for another question
            self._arming.stop()
            self._arming = None
        self._sent = False
        self._live = not view.dangerous
        self._hinted = ""
        self._arm_fields()
        self._draw_notice()
        self.call_after_refresh(self._arm_later)

    def _arm_fields(self) -> None:
        for field in self.query(Entry):
            field.armed = self._live

    def _arm_later(self) -> None:
        """Start the second after which keys are live, once all was in view."""
        if self._live or self._arming or not self.query_one("#facts", Page).read:
            return
        self._arming = self.set_timer(ARM_SECONDS, self._arm)

    def _arm(self) -> None:
        self._arming = None
        self._live = True
        self._arm_fields()
        self._draw_notice()

    def on_entry_entered(self, message: Entry.Entered) -> None:
        """Go to the next field; Enter confirms nothing."""
        message.stop()
        if self.focused is self.query_one("#person"):
            self.focus_next()
        else:
            self._hint("Enter does not confirm. F9 goes on.")

    def on_entry_touched(self, message: Entry.Touched) -> None:
        """Take an old hint away."""
        message.stop()
        self._hint("")

    def on_entry_unshowable(self, message: Entry.Unshowable) -> None:
        """Say why a character was not taken."""
        message.stop()
        self._hint("That character cannot be shown on the console; it was not taken.")

    # What the function keys do

    def action_turn(self, pages: int) -> None:
        """Turn the page; when its end was in view, a dangerous answer is armed."""
        self.query_one("#facts", Page).turn(pages)
        self.call_after_refresh(self._arm_later)

    def action_go_on(self) -> None:
        """Submit what was typed, if it may be."""
        wanted = self.view.wanted
        if wanted is None or self._sent:
            self._hint("Nothing is asked now.")
        elif not (self.query_one("#facts", Page).read or isinstance(wanted, Closing)):
            self._hint("There is more to read first: PageDown.")
        elif self._live:
            self.submit(wanted)

    def submit(self, wanted: Wanted) -> None:
        """Post the answer, or say what is missing."""
        person = self.person()
        typed = self.query_one("#answer", Field).text.strip()
        pin = self.query_one("#pin", PinField)
        match wanted:
            case Question() | Login() if not person:
                self._hint(f"Say who answers: {' or '.join(wanted.persons)}.")
                self.query_one("#person").focus()
            case Question() if not typed:
                self._hint("Type the answer first.")
            case Question():
                self._sent = True
                self.post_message(messages.Answered(person, typed))
            case Login(protected_path=False) if pin.empty or pin.too_long:
                self._hint("Type the PIN first." if pin.empty else "That is no PIN: too long.")
                pin.clear()
            case Login():
                self._sent = True
                self.post_message(messages.PinTyped(person, pin.take()))
            case Closing():
                self._hint("Nothing is asked now.")
            case other:
                assert_never(other)

    def person(self) -> str:
        """Return who answers: the only one who may, or who was typed."""
        if len(self.view.persons) == 1:
            return self.view.persons[0]
        return self.query_one("#person", Field).text.strip()

    def action_help(self) -> None:
        """Show the step's page of the runbook."""
        title = f"HELP: {self.STEP.heading.upper()}"
        self.app.push_screen(dialogs.Reading(self.view, title, self.GUIDE.lines()))

    def action_record(self) -> None:
        """Show what is recorded, and what going on would record."""
        typed = self.query_one("#answer", Field).text.strip()
        lines = (
            *record.pending_lines(self.view, self.person(), typed),
            Line(""),
            *notice.findings_lines(self.view.findings),
            Line("Recorded so far, the newest first", ASKED),
            *record.recorded_lines(self.view.recorded),
        )
        self.app.push_screen(dialogs.Reading(self.view, "WHAT IS RECORDED", lines))

    def action_exception(self) -> None:
        """Let a person note a deviation."""
        if self.view.closed:
            self._hint("The transcript is closed; write it on paper.")
            return
        self.app.push_screen(dialogs.ExceptionSheet(self.view), self._interrupted)

    def action_lock(self) -> None:
        """Cover the screen until a person's id is typed."""
        self.app.push_screen(dialogs.Lock(self.view, time.monotonic), self._interrupted)

    def action_abort(self) -> None:
        """Let a person end the ceremony, with a reason."""
        self.app.push_screen(
            dialogs.AbortSheet(self.view, standing(self.view.state)), self._interrupted
        )

    def _interrupted(self, event: Excepted | Aborted | Locked | None) -> None:
        if event is not None:
            self._sent = self.view.wanted is not None and not self.view.closed
            self.post_message(messages.Interrupted(event))


def standing(state: State) -> tuple[str, ...]:
    """Return what has and what has not happened, for a person who is about to abort."""
    match inner(state):
        case Sign(intent=None):
            signed = "No signature was made."
        case Sign():
            signed = "A signature was intended; whether it was made is in the record (F2)."
        case Verify():
            signed = "A signature WAS made. It is recorded, and stays so."
        case Seal(signed=image) if image is not None:
            signed = "A signature WAS made. It is recorded, and stays so."
        case _:
            signed = "No signature was made."
    return (
        signed,
        "The transcript is kept and sealed with the reason you give.",
        "It cannot be taken back.",
    )
