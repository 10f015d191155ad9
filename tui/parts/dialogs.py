"""The dialogs: help, what is recorded, an exception, the lock, an abort.

Each is a ModalScreen that gives back one value, None when a person went back. Escape goes
back and records nothing; F9 goes on. The lock has no way back but a person's id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ceremony.events import Aborted, Excepted, Locked
from tui.parts import frame
from tui.parts.field import Field
from tui.parts.frame import Bar
from tui.parts.lines import ASKED, BAD, Line, styled
from tui.parts.page import Page
from tui.parts.view import View

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer | None], inherit_bindings=False):
    """A frame with the two lines on top, a page of text, fields, and the keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "back", "Back"),
        ("f9", "go_on", "Go on"),
        ("tab", "app.focus_next", "Next field"),
        ("shift+tab", "app.focus_previous", "Field before"),
        ("pagedown", "turn(1)", "Page down"),
        ("pageup", "turn(-1)", "Page up"),
    ]
    TITLE_TEXT = ""
    FIELDS: ClassVar[tuple[tuple[str, str], ...]] = ()
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (("Esc", "Back"),)

    def __init__(self, view: View, lines: tuple[Line, ...]) -> None:
        super().__init__()
        self._view = view
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Make the frame."""
        yield Bar(id="top")
        yield Bar(id="head")
        yield Static(self.TITLE_TEXT, id="title", markup=False)
        yield Page(id="facts")
        for name, label in self.FIELDS:
            yield Static(label, classes="label", markup=False)
            yield Field(id=name, rule="_")
        yield Static("", id="notice", markup=False)
        yield Bar(id="keys")

    def on_mount(self) -> None:
        """Fill the frame and put the cursor in the first field."""
        self.query_one("#facts", Page).show(self._lines)
        self.query_one("#keys", Bar).draw(frame.keys(self.KEYS))
        self.show(self._view)
        if self.FIELDS:
            self.query_one(f"#{self.FIELDS[0][0]}", Field).focus()

    def show(self, view: View) -> None:
        """Draw the lines on top anew."""
        self._view = view
        self.query_one("#top", Bar).draw(frame.top(view))
        self.query_one("#head", Bar).draw(frame.head(view))

    def typed(self, name: str) -> str:
        """Return what stands in a field, without spaces around it."""
        return self.query_one(f"#{name}", Field).text.strip()

    def refuse(self, text: str) -> None:
        """Say why F9 does not go on yet."""
        self.query_one("#notice", Static).update(Content.styled(text, BAD))

    def person(self) -> str | None:
        """Return the person typed, None (and say so) unless the policy names them."""
        name = self.typed("person")
        if name and (not self._view.known or name in self._view.known):
            return name
        known = ", ".join(self._view.known) or "any name"
        self.refuse(f"Who says so: {known}")
        return None

    def on_entry_entered(self) -> None:
        """Go to the next field; Enter never confirms."""
        self.focus_next()

    def action_back(self) -> None:
        """Go back; nothing is recorded."""
        self.dismiss(None)

    def action_turn(self, pages: int) -> None:
        """Turn the page."""
        self.query_one("#facts", Page).turn(pages)

    def action_go_on(self) -> None:
        """Go back, where there is nothing to go on to."""
        self.dismiss(None)


class Reading(Dialog[None]):
    """A page of text: help, or what is recorded."""

    def __init__(self, view: View, title: str, lines: tuple[Line, ...]) -> None:
        self.TITLE_TEXT = title
        super().__init__(view, lines)


class ExceptionSheet(Dialog[Excepted]):
    """A deviation from the script: expected, happened, decided, and who says so."""

    TITLE_TEXT = "RECORD AN EXCEPTION"
    FIELDS = (
        ("person", "Who"),
        ("expected", "What was expected"),
        ("happened", "What happened"),
        ("decided", "What was decided"),
    )
    KEYS = (("Esc", "Back"), ("Tab", "Next field"), ("F9", "Record it"))

    def __init__(self, view: View) -> None:
        super().__init__(view, styled(("The ceremony goes on after this is recorded.",)))

    def action_go_on(self) -> None:
        """Give the exception back, if it is whole."""
        texts = [self.typed(name) for name, _ in self.FIELDS[1:]]
        if not all(texts):
            self.refuse("Fill in every line: expected, happened, decided.")
            return
        person = self.person()
        if person:
            self.dismiss(Excepted(person, *texts))


class AbortSheet(Dialog[Aborted]):
    """The end of the ceremony by a person's word."""

    TITLE_TEXT = "ABORT THE CEREMONY"
    FIELDS = (("person", "Who aborts"), ("reason", "Why"))
    KEYS = (("Esc", "Back, do not abort"), ("Tab", "Next field"), ("F9", "Abort"))

    def __init__(self, view: View, facts: tuple[str, ...]) -> None:
        super().__init__(view, styled(facts))

    def action_go_on(self) -> None:
        """Give the abort back, if it has a reason."""
        reason = self.typed("reason")
        if not reason:
            self.refuse("Say why the ceremony is aborted.")
            return
        person = self.person()
        if person:
            self.dismiss(Aborted(person, reason))


class LeaveSheet(Dialog[bool]):
    """The end of collecting countersignatures before there are enough."""

    TITLE_TEXT = "LEAVE THE CLOSED CEREMONY"
    KEYS = (("Esc", "Back"), ("F9", "Leave"))

    def action_go_on(self) -> None:
        """Leave."""
        self.dismiss(True)  # noqa: FBT003 - the dialog's answer


class Lock(ModalScreen[Locked], inherit_bindings=False):
    """Covers everything but the ceremony's id and the clock."""

    BINDINGS: ClassVar[list[BindingType]] = [("f9", "unlock", "Unlock")]

    def __init__(self, view: View, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._view = view
        self._monotonic = monotonic
        self._since = monotonic()

    def compose(self) -> ComposeResult:
        """Make the cover."""
        yield Static("", id="cover", markup=False)
        yield Static("Type your id, then F9.", classes="label", markup=False)
        yield Field(id="person", rows=1, rule="_")
        yield Static("", id="notice", markup=False)

    def on_mount(self) -> None:
        """Draw the cover and put the cursor in the field."""
        self.show(self._view)
        self.query_one("#person", Field).focus()

    def show(self, view: View) -> None:
        """Draw id and clock anew."""
        self._view = view
        text = Content.styled("LOCKED", ASKED) + Content(
            f"\n\nCeremony {view.ceremony}\n{view.clock}\n"
        )
        self.query_one("#cover", Static).update(text)

    def action_unlock(self) -> None:
        """Uncover, if a person whom the policy names says so."""
        person = self.query_one("#person", Field).text.strip()
        if not person or (self._view.known and person not in self._view.known):
            self.query_one("#notice", Static).update(
                Content.styled("Unlock with the id of a person whom the policy names.", BAD)
            )
            return
        self.dismiss(Locked(person, int(self._monotonic() - self._since)))
