"""How a token's PIN is typed: whole by one, or in parts by several people.

Decides how many parts there are, who may type which, and who may have typed them all. It
refuses to know a PIN: no part of one, its length or its hash ever comes here. The parts are
put together in the token's process alone (hsm.parts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ceremony.token import PinState
from ceremony.types import Finding, Severity

LEAST_SHARES, MOST_SHARES = 2, 16  # SLIP-39 counts the members of a group in four bits


class PinEntry(StrEnum):
    """How the PIN is typed: by one person, in two halves, or as the words of SLIP-39 shares."""

    WHOLE = "whole"
    HALVES = "halves"
    SHARES = "shares"


@dataclass(frozen=True, slots=True)
class PinPart:
    """One part of a PIN: the `number`-th, from 1, of `of` parts."""

    entry: PinEntry = PinEntry.WHOLE
    number: int = 1
    of: int = 1

    @property
    def said(self) -> str:
        """Return what is typed, in words."""
        match self.entry:
            case PinEntry.WHOLE:
                return "PIN"
            case PinEntry.HALVES:
                return f"half {self.number} of {self.of} of the PIN"
            case PinEntry.SHARES:
                return f"words of share {self.number} of {self.of}"


WHOLE_PIN = PinPart()

# What is said of a token's tries before a PIN is asked for.
TRIES_SAID: dict[PinState, str] = {
    "ok": "the token reports no failed try",
    "count-low": "a wrong PIN was typed since the last right one",
    "final-try": "ONE try is left",
    "locked": "LOCKED",
    "unknown": "the token does not say how many tries are left",
}


def first_part(entry: PinEntry, shares: int) -> PinPart:
    """Return the first part of a PIN of which `shares` shares are needed, where it has shares."""
    count = {PinEntry.WHOLE: 1, PinEntry.HALVES: 2, PinEntry.SHARES: shares}[entry]
    return PinPart(entry, 1, count)


def may_have_typed(persons: tuple[str, ...], holders: tuple[str, ...], part: PinPart) -> bool:
    """Say whether these people may have typed all parts: as many as parts, each another holder."""
    return len(persons) == part.of == len(set(persons)) and set(persons) <= set(holders)


def judge_entry(part: PinPart, *, on_reader: bool) -> Iterator[Finding]:
    """KEY-PIN-PARTS: a PIN in parts is typed here, where each part is its own person's."""
    if part.entry is PinEntry.WHOLE:
        return
    if on_reader:
        text = "the token's PIN is typed on its own reader, the policy has it typed in parts"
        yield Finding("KEY-PIN-PARTS", Severity.REFUSE, text)
    else:
        text = f"{part.of} key holders type a part of the PIN each ({part.entry})"
        yield Finding("KEY-PIN-PARTS", Severity.INFO, text)
