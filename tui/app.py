"""The app: one ceremony in one thread, its news drawn, people's replies handed back.

It decides which screen is in front (the one of the state's step) and refuses to know what
an answer means. Textual's own ways out (its fatal error screen prints local variables, its
ctrl+q quits at once) are closed; a fault here names its type and nothing else.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import App
from textual.binding import Binding, BindingType

from ceremony.events import Aborted, Excepted, Locked
from ceremony.questions import Answer
from ceremony.states import Close, Open
from tui.console import Blocks
from tui.faces import Closing
from tui.parts import messages
from tui.parts.dialogs import Dialog, Lock
from tui.parts.idle import Idle
from tui.parts.replies import Replies, ScreenGone
from tui.parts.view import View
from tui.screens import SCREEN_FOR
from tui.screens.step import StepScreen

STOPPING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class ScreenCrashed(ScreenGone):
    """A fault in the screen ended it; the text names the fault's type and nothing it held."""


def wall_clock() -> str:
    """Return the time as it stands on the screen."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


class CeremonyApp(App[None], inherit_bindings=False):
    """The full screen of one ceremony."""

    CSS_PATH = Path(__file__).with_name("look.tcss")
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "leave", "Abort", priority=True),
    ]

    def __init__(
        self,
        work: Callable[[], None],
        replies: Replies,
        *,
        blocks: Blocks = Blocks.CELLS,
        clock: Callable[[], str] = wall_clock,
        idle: Idle | None = None,
    ) -> None:
        """`work` is run in the ceremony's thread; it takes what people say from `replies`.

        Once `idle` is over while people are asked something, the screen locks by itself.
        """
        super().__init__(ansi_color=True)
        self._work = work
        self._clock = clock
        self._replies = replies
        self._idle = idle or Idle()
        self._held: list[messages.Interrupted] = []
        self._view = View(Open(), clock=clock(), blocks=blocks)
        self.fault: BaseException | None = None

    # Beginning and end

    async def on_mount(self) -> None:
        """Put the first step's screen in front; start the clock and the ceremony's one thread."""
        await self.push_screen(SCREEN_FOR[self._view.step](self._view))
        self.set_interval(1.0, self._tick)
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in STOPPING:
                loop.add_signal_handler(number, self._stopped, number)
        self.run_worker(
            self._run_work, thread=True, exclusive=True, exit_on_error=False, group="ceremony"
        )

    def _run_work(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised again once the screen is restored
            self.fault = self.fault or error
        self.post_message(messages.Finished())

    def on_finished(self) -> None:
        """Restore the screen; the work is done or raised."""
        self.exit()

    def on_unmount(self) -> None:
        """Let the ceremony's thread go: there will be no replies any more."""
        self._replies.close("the screen is closed; the same command resumes")

    def _stopped(self, number: signal.Signals) -> None:
        self.fault = self.fault or ScreenGone(f"stopped by {signal.Signals(number).name}")
        self._replies.close(str(self.fault))
        self.exit()

    def _handle_exception(self, error: Exception) -> None:
        """End without Textual's traceback, which prints local variables (textual 8.2)."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        if isinstance(self.fault, ScreenCrashed):
            return
        self.fault = ScreenCrashed(
            f"The screen failed ({type(error).__name__}). "
            "The transcript is kept; the same command resumes."
        )
        self._exit_renderables.append(Text(str(self.fault)))
        self._replies.close(str(self.fault))
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        """Print nothing: what is to be said is raised once the screen is restored."""
        self._close_messages_no_wait()

    # News of the ceremony

    def on_began(self, message: messages.Began) -> None:
        """Show the mode."""
        self._draw(replace(self._view, mode=message.mode))

    async def on_told(self, message: messages.Told) -> None:
        """Show a state on its step's screen."""
        self._draw(self._view.told(message.state))
        await self._settle()

    def on_moved(self, message: messages.Moved) -> None:
        """Show a count."""
        self._draw(replace(self._view, progress=message.progress))

    def on_faulted(self, message: messages.Faulted) -> None:
        """Show why an answer was refused."""
        self._draw(replace(self._view, findings=message.findings))

    def on_kept(self, message: messages.Kept) -> None:
        """Show event number and head words."""
        self._draw(self._view.with_event(message.event, message.head))

    def on_asked(self, message: messages.Asked) -> None:
        """Show what is wanted, or hand over what a person did meanwhile."""
        if self._held and not isinstance(message.wanted, Closing):
            held = self._held.pop(0)
            self._replies.put(held.event)
            self._draw(replace(self._view, held=self._held_in_words()))
            return
        self._held.clear()
        self._idle.touch()  # there was nothing to do before
        self._draw(
            replace(self._view, wanted=message.wanted, code=message.code, progress=None, held="")
        )

    # People's replies

    def on_answered(self, message: messages.Answered) -> None:
        """Hand an answer over."""
        if self._view.wanted is None:
            return  # it was answered already
        self._replies.put(Answer(message.person, message.text))
        self._asked_no_more()

    def on_pin_typed(self, message: messages.PinTyped) -> None:
        """Hand a PIN over."""
        if self._view.wanted is None:
            message.pin[:] = bytes(len(message.pin))
            return
        doing = "" if message.pin else "Enter the PIN on the token's own reader now."
        self._replies.put((message.person, message.pin))
        self._asked_no_more(doing)

    def on_offered(self, message: messages.Offered) -> None:
        """Hand a countersignature over."""
        if self._view.wanted is None:
            return
        self._replies.put(message.text)
        self._asked_no_more()

    def on_left(self, _message: messages.Left) -> None:
        """End without an answer; the logs stay as they are."""
        self._replies.close("left before it was confirmed; the same command resumes")

    def on_interrupted(self, message: messages.Interrupted) -> None:
        """Hand over what a person did instead, now or when the machine is done."""
        if isinstance(self._view.state, Close):
            return  # nothing is recorded any more
        if self._view.wanted is None:
            self._held.append(message)
            self._draw(replace(self._view, held=self._held_in_words()))
            return
        self._replies.put(message.event)
        # After an exception or a lock the same is asked again; an abort leaves the question.
        ended = isinstance(message.event, Aborted)
        findings = () if ended else self._view.findings
        self._draw(replace(self._view, wanted=None, findings=findings))

    def _asked_no_more(self, doing: str = "") -> None:
        self._draw(replace(self._view, wanted=None, findings=(), doing=doing))

    def _held_in_words(self) -> str:
        if not self._held:
            return ""
        match self._held[0].event:
            case Excepted():
                return "The exception"
            case Locked():
                return "The lock"
            case _:
                return "The abort"

    # What is in front

    async def on_event(self, event: events.Event) -> None:
        """Remember when a key was pressed last, wherever it went."""
        if isinstance(event, events.Key | events.Paste):
            self._idle.touch()
        await super().on_event(event)

    def _tick(self) -> None:
        self._draw(replace(self._view, clock=self._clock()))
        if self._left_alone():
            next(s for s in self.screen_stack if isinstance(s, StepScreen)).action_lock()

    def _left_alone(self) -> bool:
        """Tell whether people are asked and nobody is there; while the machine works, never."""
        asked = self._view.wanted is not None and not isinstance(self.screen, Lock)
        return asked and self._idle.over

    def _draw(self, view: View) -> None:
        self._view = view
        for screen in self.screen_stack:
            if isinstance(screen, StepScreen) or (
                isinstance(screen, Dialog | Lock) and screen.is_mounted
            ):
                screen.show(view)

    async def on_back(self) -> None:
        """Settle after a dialog: meanwhile the step may be another one."""
        await self._settle()

    async def _settle(self) -> None:
        """Put the screen of the state's step in front, unless a dialog is."""
        wanted = SCREEN_FOR[self._view.step]
        if isinstance(self.screen, StepScreen) and type(self.screen) is not wanted:
            await self.switch_screen(wanted(self._view))

    def action_leave(self) -> None:
        """Take ctrl+c and ctrl+q for the abort dialog, and nothing else."""
        if isinstance(self.screen, StepScreen):
            self.screen.action_abort()
