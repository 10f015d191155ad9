"""Messages: from the ceremony's thread to the screen, and from a screen to the app.

The only way in either direction; post_message is what Textual allows from other threads.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from ceremony.events import Event
from ceremony.ports import Interruption, Progress
from ceremony.states import State
from ceremony.types import Finding, Mode
from transcripts.checkpoint import Head
from tui.parts.qr import Code
from tui.parts.view import Wanted


@dataclass
class Began(Message):
    """The mode is known."""

    mode: Mode


@dataclass
class Told(Message):
    """The ceremony is in this state."""

    state: State


@dataclass
class Moved(Message):
    """A long act has come this far."""

    progress: Progress


@dataclass
class Faulted(Message):
    """An answer was refused, and why."""

    findings: tuple[Finding, ...]


@dataclass
class Kept(Message):
    """An event is on every log."""

    event: Event
    head: Head


@dataclass
class Asked(Message):
    """Something is wanted of a person; `code` is the QR code of what is signed."""

    wanted: Wanted
    code: Code | None = None


class Finished(Message):
    """The ceremony's thread is at its end."""


@dataclass
class Answered(Message):
    """A person answered the question."""

    person: str
    text: str


class PinTyped(Message):
    """A person typed the PIN; not a dataclass, so that no repr can ever show it."""

    def __init__(self, person: str, pin: bytearray) -> None:
        super().__init__()
        self.person = person
        self.pin = pin


@dataclass
class Offered(Message):
    """A person offered a countersignature, or said that there are no more of them."""

    text: str | None


@dataclass
class Interrupted(Message):
    """A person did something else than answer."""

    event: Interruption


class Back(Message):
    """A dialog is gone and the step's screen is in front again."""
