"""How people are asked for a PIN: by one, or part by part, at the login and at each later use.

Decides who may type which part, what is asked again, and what a cancelled prompt is. It
refuses to know what the token does with the PIN. Every buffer that is not handed on is
overwritten here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ceremony.effects import Login
from ceremony.pin_parts import PinEntry
from ceremony.pin_uses import PinUse, UsePin
from ceremony.ports import Human, Interruption, Token
from ceremony.token import PinState
from ceremony.types import Finding, Severity


@dataclass(frozen=True, slots=True)
class Typed:
    """Who typed, and a PIN that one person typed whole; parts of one are with the token."""

    persons: tuple[str, ...]
    pin: bytearray = field(repr=False)
    cancelled: bool = False


class InsteadOfPin(Exception):
    """What a person did instead of typing: it passes through the token that asked."""

    def __init__(self, event: Interruption) -> None:
        super().__init__(event.name)
        self.event = event


class PinTyping:
    """Asks people for PINs and gives parts to the token."""

    def __init__(self, human: Human, token: Token) -> None:
        self._human = human
        self._token = token

    def again(self, login: Login, use: PinUse, persons: tuple[str, ...]) -> UsePin:
        """Return how the token asks those who logged in for the PIN of another use."""

        def ask(state: PinState) -> bytearray | None:
            typed = self.typed(login.before(use, persons, state))
            return None if typed.cancelled else typed.pin

        return ask

    def typed(self, asked: Login) -> Typed:
        """Have the PIN typed; InsteadOfPin, or TokenTrouble where the token takes no parts."""
        while True:
            answer = self._human.pin(asked)
            if not isinstance(answer, tuple):
                raise InsteadOfPin(answer)
            after = self._taken(asked, *answer)
            if isinstance(after, Typed):
                return after
            asked = after

    def _taken(self, asked: Login, person: str, pin: bytearray) -> Typed | Login:
        """Take what `person` typed; return all of it, or what is asked next."""
        if person not in asked.persons:
            pin[:] = bytes(len(pin))
            why = "that person holds no key here"
            if asked.turns:
                why = (
                    f"{asked.turns[asked.part.number - 1]} typed it at the login, and types it now"
                )
            elif person in asked.typed:
                why = "that person typed a part of the PIN already; this part is another's"
            return self._refused(asked, "APP-PERSON", why)
        part, persons = asked.part, (*asked.typed, person)
        if asked.use is not PinUse.LOGIN and not pin:
            return Typed(persons, pin, cancelled=True)
        if part.entry is PinEntry.WHOLE:
            return Typed(persons, pin)
        try:
            why = self._token.offer(pin, part)
        finally:
            pin[:] = bytes(len(pin))
        if why:
            return self._refused(asked, "KEY-PIN-PART", why)
        return asked.after(person) if part.number < part.of else Typed(persons, bytearray())

    def _refused(self, asked: Login, rule: str, why: str) -> Login:
        self._human.tell((Finding(rule, Severity.REFUSE, why),))
        return asked
