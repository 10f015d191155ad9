"""How long nobody pressed a key, by a clock that a suspended machine does not stop.

Decides when people have left the screen alone. Refuses to know what is on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LOCK_SECONDS = 600.0


def since_boot() -> float:
    """Return seconds since the machine started, those that it was suspended among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Idle:
    """Counts from the last touch; over after `after` seconds of the clock `elapsed`."""

    def __init__(
        self, after: float = LOCK_SECONDS, elapsed: Callable[[], float] = since_boot
    ) -> None:
        self._after = after
        self._elapsed = elapsed
        self._touched = elapsed()

    def touch(self) -> None:
        """Count anew from now."""
        self._touched = self._elapsed()

    @property
    def over(self) -> bool:
        """Tell whether nobody was there for long enough."""
        return self._elapsed() - self._touched >= self._after
