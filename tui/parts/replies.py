"""What people said, handed from the screen's thread to the ceremony's, one at a time."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TypeAlias

from ceremony.ports import Interruption
from ceremony.questions import Answer

Reply: TypeAlias = Answer | Interruption | tuple[str, bytearray] | str | None


class ScreenGone(EOFError):
    """The screen was closed before the ceremony ended; the same command resumes it."""


class Replies:
    """A queue that can be closed: then whoever waits, now or later, gets ScreenGone."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Reply] | ScreenGone] = SimpleQueue()

    def put(self, reply: Reply) -> None:
        """Hand a reply over."""
        self._queue.put((reply,))

    def close(self, why: str) -> None:
        """Say that there will be no more replies."""
        self._queue.put(ScreenGone(why))

    def get(self) -> Reply:
        """Wait for a reply; ScreenGone when there will be none."""
        reply = self._queue.get()
        if isinstance(reply, ScreenGone):
            self._queue.put(reply)
            raise reply
        return reply[0]
