"""The parts of one PIN, put together in the token's process and nowhere else.

Decides whether a part can be one: a half that can be typed, or a SLIP-39 share of the same
set as the shares before it (docs/spec/pin.md). Every buffer is overwritten when it was used
or when a new PIN is begun. It refuses to know people and tokens. Runs in the child only.
"""

from __future__ import annotations

import re

from ceremony.pin_parts import PinEntry
from hsm.worker import Answered, Reply, Request

# What can be typed; halves may belong to a longer PIN than one person types (MOST_PIN).
_HALF = re.compile(rb"[ -~]{1,127}")


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer where it lies."""
    buffer[:] = bytes(len(buffer))


class Parts:
    """What was typed so far, of one PIN."""

    def __init__(self) -> None:
        self._typed: list[bytearray] = []
        self._of = 0

    def take(self, request: Request) -> Reply:
        """Keep one part; the first one begins a new PIN. The answer says why it is none."""
        entry, number = request.text("entry"), request.number("number")
        part = request.pin()
        if number == 1:
            self.forget()
            self._of = request.number("of")
        try:
            if number != len(self._typed) + 1 or number > self._of:
                raise Answered("KEY-PIN-PART", "out-of-order", "the parts before it are not here")
            why = self._why_not(entry, part)
            if not why:
                self._typed.append(bytearray(part))
        finally:
            wipe(part)
        return {"why": why}

    def _why_not(self, entry: str, part: bytearray) -> str:
        if entry == PinEntry.SHARES:
            from hsm import shares  # noqa: PLC0415 - an optional package stands behind it

            return shares.why_not(part, self._typed, self._of)
        return "" if _HALF.fullmatch(part) else "a half is 1 to 127 printable ASCII characters"

    def joined(self, entry: str) -> bytearray:
        """Return the PIN in a buffer of its own, and forget the parts; Answered KEY-PIN-PART."""
        try:
            if not self._typed or len(self._typed) != self._of:
                raise Answered("KEY-PIN-PART", "missing", "not every part of the PIN is here")
            if entry == PinEntry.SHARES:
                from hsm import shares  # noqa: PLC0415 - an optional package stands behind it

                return shares.recovered(self._typed)
            whole = bytearray(sum(map(len, self._typed)))
            at = 0
            for part in self._typed:
                whole[at : at + len(part)] = part
                at += len(part)
            return whole
        finally:
            self.forget()

    def forget(self) -> None:
        """Overwrite every part."""
        for part in self._typed:
            wipe(part)
        self._typed.clear()
        self._of = 0
