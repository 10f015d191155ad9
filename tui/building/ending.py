"""Ending as by Ctrl-C when a session ends: what is begun is taken back on the way out.

Decides which signals that are (signal(7): SIGTERM, SIGHUP), unless somebody handles or ignores
them already. Refuses to know what is under way.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_as_by_hand() -> Iterator[None]:
    """Let the signals that end a session end it as Ctrl-C does: nothing is left behind."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
