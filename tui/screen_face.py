"""The full screen as a face: called from the ceremony's thread, it waits for the screen's word.

Every method posts a message to the app; what asks blocks until the app answers. When the
screen is gone, whatever asks next raises ScreenGone, and the logs stay as they are: the
same command resumes them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TypeVar

from textual.message import Message

from ceremony.effects import Login
from ceremony.events import Aborted, Event, Excepted, Locked
from ceremony.ports import Interruption, Progress
from ceremony.questions import Answer, Question
from ceremony.states import State
from ceremony.types import Finding, Mode
from transcripts.checkpoint import Head
from tui.app import STOPPING, CeremonyApp
from tui.console import Blocks, probe, require, scrub_environment
from tui.faces import Closing, Face
from tui.parts import messages, qr
from tui.parts.replies import Replies, ScreenGone

REDRAW_SECONDS = 0.1

SIDE_COLUMNS, FRAME_ROWS = 16, 3  # the checklist; two lines on top, one of keys

Result = TypeVar("Result")


class ScreenFace:
    """tui.faces.Face on a screen that runs in another thread."""

    def __init__(
        self,
        post: Callable[[Message], object],
        replies: Replies,
        room: tuple[int, int],
        blocks: Blocks,
    ) -> None:
        """`room` is the columns and rows that a QR code may take."""
        self._post = post
        self._replies = replies
        self._room = room
        self._blocks = blocks
        self._moved_at = 0.0
        self._code: qr.Code | None = None

    def begin(self, mode: Mode) -> None:
        """Show the mode from here on."""
        self._post(messages.Began(mode))

    def answer(self, question: Question) -> Answer | Interruption:
        """Put a question on the screen and wait."""
        code = self._code_of(question.document.encode("ascii")) if question.document else None
        self._post(messages.Asked(question, code))
        match self._replies.get():
            case Answer() | Excepted() | Aborted() | Locked() as reply:
                return reply
            case _:
                raise TypeError("the screen gave something else than an answer")

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        """Put the PIN field on the screen and wait."""
        self._post(messages.Asked(login))
        match self._replies.get():
            case (str() as person, bytearray() as pin):
                return person, pin
            case Excepted() | Aborted() | Locked() as reply:
                return reply
            case _:
                raise TypeError("the screen gave something else than a PIN")

    def tell(self, news: State | Progress | tuple[Finding, ...]) -> None:
        """Show a state, a count (at most ten a second, and the last one), or refusals."""
        if isinstance(news, Progress):
            now = time.monotonic()
            if news.done >= news.total or now - self._moved_at >= REDRAW_SECONDS:
                self._moved_at = now
                self._post(messages.Moved(news))
        elif isinstance(news, tuple):
            self._post(messages.Faulted(news))
        else:
            self._post(messages.Told(news))

    def recorded(self, event: Event, head: Head) -> None:
        """Show the event's number and the head words."""
        self._post(messages.Kept(event, head))

    def countersign(self, closing: Closing) -> str | None:
        """Show the checkpoint in hex, words and QR code, read back; wait for a signature."""
        self._post(messages.Asked(closing, self._code_of(closing.head.text)))
        match self._replies.get():
            case str() | None as reply:
                return reply
            case _:
                raise TypeError("the screen gave something else than a countersignature")

    def _code_of(self, text: bytes) -> qr.Code:
        if self._code is None or self._code.text != text:
            self._code = qr.make(text, *self._room, self._blocks)
        return self._code


def run_full_screen(work: Callable[[Face], Result]) -> Result:
    """Run `work` with a full-screen face; return its result or raise what it raised.

    UnfitTerminal before anything is drawn; ScreenGone where the screen ended first.
    """
    scrub_environment()
    terminal = probe()
    require(terminal)
    results: list[Result] = []
    replies = Replies()
    app = CeremonyApp(lambda: results.append(work(face)), replies, blocks=terminal.blocks)
    room = (terminal.columns - SIDE_COLUMNS, terminal.rows - FRAME_ROWS)
    face = ScreenFace(app.post_message, replies, room, terminal.blocks)
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    try:
        app.run(mouse=False)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if app.fault is not None:
        raise app.fault
    if not results:
        raise ScreenGone("the screen was closed; the same command resumes")
    return results[0]
