"""The lower part of a step's screen: the sentence that asks, the fields, and why not.

It decides when an answer may be sent: by F9 only, once, whole; a dangerous one only a
second after all of its facts were in view, and nothing typed before that counts. It
refuses to know whether the answer is right.
"""

from __future__ import annotations

from typing import assert_never

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.timer import Timer

from ceremony.effects import Login
from ceremony.pin_parts import PinEntry, PinPart
from ceremony.pin_uses import PinUse
from ceremony.questions import Form, Question
from tui.faces import Closing
from tui.parts import messages, notice
from tui.parts.field import Entry, Field, PinField
from tui.parts.frame import Bar
from tui.parts.lines import wrap_all
from tui.parts.page import Page
from tui.parts.view import View, Wanted

ARM_SECONDS = 1.0
CANCELS = "Nothing was typed. F9 again cancels: no try is spent, nothing is signed."
NOTICE_ROWS, NOTICE_COLUMNS = 7, 62  # as look.tcss has it at 80x25
WHO = "Say who answers:"
KEPT_FORMS = (Form.WORDS, Form.TIME, Form.STATEMENT, Form.REASON)


class Asking(Vertical):
    """Prompt, who answers, the answer or the PIN, and the notice."""

    def __init__(self, view: View, page: Page) -> None:
        super().__init__(id="asking")
        self.view = view
        self._page = page
        self.live = True
        self._wanted: Wanted | None = None  # what the fields are ready for
        self._before: Wanted | None = None  # what they were ready for last
        self._sent = False
        self._arming: Timer | None = None
        self._hinted = ""

    def compose(self) -> ComposeResult:
        """Make the fields; which of them are seen depends on what is wanted."""
        yield Bar(id="prompt")
        with Horizontal(id="who"):
            yield Bar(id="who_is")
            yield Field(id="person", rows=1, rule="_")
        yield Field(id="answer")
        yield PinField(id="pin")
        yield Bar(id="notice")

    def show(self, view: View) -> None:
        """Draw another view; fields are made ready anew only for another question."""
        self.view = view
        self._draw(view)
        self._draw_notice()
        if view.wanted is None:
            self._wanted = None
        elif view.wanted != self._wanted:
            self._make_ready(view, view.wanted)
        self.arm_soon()

    @property
    def person(self) -> str:
        """Return who answers: the only one who may, or who was typed."""
        if len(self.view.persons) == 1:
            return self.view.persons[0]
        return self.query_one("#person", Field).text.strip()

    @property
    def typed(self) -> str:
        """Return what stands in the answer's field."""
        return self.query_one("#answer", Field).text.strip()

    def focus_answer(self) -> None:
        """Put the cursor in the answer's field."""
        self.query_one("#answer", Field).focus()

    def hint(self, text: str) -> None:
        """Say something that is not a refusal, until a key is pressed."""
        if text == self._hinted:
            return  # a key of a PIN draws nothing that a recording of the terminal could count
        self._hinted = text
        self._draw_notice()

    def forget_pin(self) -> None:
        """Wipe what was typed of a PIN: whoever comes back types it whole."""
        self.query_one("#pin", PinField).clear()

    def interrupted(self) -> None:
        """Send no answer any more: a person did something else instead."""
        self._sent = self.view.wanted is not None and not self.view.closed

    # Arming

    def arm_soon(self) -> None:
        """Start the second after which keys are live, unless it runs or there is more to read."""
        if not self.live and self._arming is None and self._page.read:
            self._arming = self.set_timer(ARM_SECONDS, self._arm)

    def _arm(self) -> None:
        self._arming = None
        if self._page.read:  # the box was larger, perhaps, before the fields were laid out
            self._set_live(live=True)
            self._draw_notice()

    def _set_live(self, *, live: bool) -> None:
        self.live = live
        for field in self.query(Entry):
            field.armed = live

    def _make_ready(self, view: View, wanted: Wanted) -> None:
        same = wanted == self._before
        keep = same and isinstance(wanted, Question) and wanted.form in KEPT_FORMS
        self._wanted = self._before = wanted
        person, answer = self.query_one("#person", Field), self.query_one("#answer", Field)
        pin = self.query_one("#pin", PinField)
        if not keep or view.dangerous:
            answer.clear()
        pin.clear()
        pin.words = isinstance(wanted, Login) and wanted.part.entry is PinEntry.SHARES
        if not same or any(finding.rule == "APP-PERSON" for finding in view.findings):
            person.clear()
        person.only = view.persons
        field: Entry = pin if isinstance(wanted, Login) else answer
        (person if len(view.persons) > 1 and not person.text else field).focus()
        if self._arming:  # it counted for another question
            self._arming.stop()
            self._arming = None
        self._sent = False
        self._hinted = ""
        self._set_live(live=not view.dangerous)
        self._draw_notice()

    # Drawing

    def _draw(self, view: View) -> None:
        self.query_one("#prompt", Bar).draw(Content(prompt(view)))
        self.query_one("#who_is", Bar).draw(Content(_who(view)))
        pin = isinstance(view.wanted, Login)
        protected = isinstance(view.wanted, Login) and view.wanted.protected_path
        self.query_one("#who").display = bool(view.persons)
        self.query_one("#person").display = len(view.persons) > 1
        self.query_one("#answer").display = view.wanted is not None and not pin
        self.query_one("#pin").display = pin and not protected

    def _draw_notice(self) -> None:
        view = self.view
        lines = list(notice.findings_lines(view.findings))
        if view.held:
            lines += notice.hint(f"{view.held} is recorded as soon as the machine is done.")
        if self._hinted:
            lines += notice.hint(self._hinted)
        elif view.wanted is not None and not self.live:
            lines += notice.hint("Keys are live one second after all of this was shown.")
        width = self.query_one("#notice").content_size.width or NOTICE_COLUMNS
        rows = wrap_all(lines, width)
        if len(rows) > NOTICE_ROWS:
            more = wrap_all(notice.hint("More was found: F2 shows all of it."), width)
            rows = (*rows[: NOTICE_ROWS - len(more)], *more)
        self.query_one("#notice", Bar).draw(Content("\n").join(rows))

    # What a person does

    def on_entry_entered(self, message: Entry.Entered) -> None:
        """Go to the next field; Enter confirms nothing."""
        message.stop()
        if self.query_one("#person").has_focus:
            self.screen.focus_next()
        else:
            self.hint("Enter does not confirm. F9 goes on.")

    def on_entry_touched(self, message: Entry.Touched) -> None:
        """Take an old hint away; what is in view now was read before this key."""
        message.stop()
        self._page.looked_at()
        self.hint("")

    def on_entry_unshowable(self, message: Entry.Unshowable) -> None:
        """Say why a character was not taken."""
        message.stop()
        self.hint("That character cannot be shown on the console; it was not taken.")

    def on_entry_strange(self, message: Entry.Strange) -> None:
        """Ask who answers: words or a PIN typed here would stand in plain view."""
        message.stop()
        self.hint(f"{WHO} {' or '.join(self.view.persons)}. Then Tab, and the answer.")

    def submit(self) -> None:
        """Send what was typed, if all facts were in view and the keys are live."""
        wanted = self.view.wanted
        if wanted is None or self._sent:
            self.hint("Nothing is asked now.")
        elif not (self._page.read or isinstance(wanted, Closing)):
            self.hint("There is more to read first: PageDown.")
        elif self.live:
            self._submit(wanted)

    def _submit(self, wanted: Wanted) -> None:
        pin = self.query_one("#pin", PinField)
        match wanted:
            case Question(form=Form.SIGNATURE) if self.typed:
                self._send(messages.Answered(wanted.persons[0], self.typed))
            case Question(form=Form.SIGNATURE):
                self.hint("Type the path of a signature file or of a picture of its code.")
            case Question() | Login() if not self.person:
                self.hint(f"{WHO} {' or '.join(wanted.persons)}.")
                self.query_one("#person").focus()
            case Question() if not self.typed:
                self.hint("Type the answer first.")
            case Question():
                self._send(messages.Answered(self.person, self.typed))
            case Login(use=use) if use is not PinUse.LOGIN and pin.empty and not pin.too_long:
                self._cancel(self.person, pin)
            case Login(protected_path=False) if pin.empty or pin.too_long:
                self.hint("Type the PIN first." if pin.empty else "That is no PIN: too long.")
                pin.clear()
            case Login():
                self._send(messages.PinTyped(self.person, pin.take()))
            case Closing() if not self.typed and not wanted.enough:
                missing = wanted.needed - len(wanted.signed)
                self.hint(f"{missing} more must sign. F10 leaves without them.")
            case Closing():
                self._send(messages.Offered(self.typed or None))
            case other:
                assert_never(other)

    def _cancel(self, person: str, pin: PinField) -> None:
        """Give no PIN, at the second F9 with nothing typed in between."""
        if self._hinted == CANCELS:
            self._send(messages.PinTyped(person, pin.take()))
        else:
            self.hint(CANCELS)

    def _send(self, message: messages.Answered | messages.PinTyped | messages.Offered) -> None:
        self._sent = True
        self.post_message(message)


def prompt(view: View) -> str:
    """Return the sentence that asks, or what the machine does meanwhile."""
    match view.wanted:
        case Question(prompt=asked):
            return asked
        case Login(protected_path=True):
            return "F9 starts the login. Then enter the PIN on the token's own reader."
        case Login(use=PinUse() as use, part=part) if use is not PinUse.LOGIN:
            return f"The {part.said}, {use.counted}: not shown, not recorded."
        case Login(part=PinPart(entry=PinEntry.SHARES) as part):
            return f"Type the {part.said}: not shown, not recorded. Backspace clears a word."
        case Login(part=part):
            return f"The {part.said}: not shown, not recorded. Backspace clears it."
        case Closing(signable=False):
            return "Nothing is to be signed; empty: done"
        case Closing(rehearsal_signers=signers):
            practice = f" (or {', '.join(signers)})" if signers else ""
            return f"Signature file's path{practice}; empty: done"
        case None if view.progress:
            return "\n".join(notice.progress_lines(view.progress))
        case None:
            return view.doing or "The machine works. Nothing is asked of you now."
        case other:
            assert_never(other)


def _who(view: View) -> str:
    role = view.wanted.role if isinstance(view.wanted, Question) else "key holder"
    if len(view.persons) == 1:
        return f"{view.persons[0]} ({role}) answers:"
    return f"Who answers ({' or '.join(view.persons)}): "
