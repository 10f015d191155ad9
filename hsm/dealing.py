"""The parent's side of dealing a new PIN: what is asked of the process that alone knows it."""

from __future__ import annotations

from dataclasses import dataclass

from ceremony.pin_parts import WHOLE_PIN, PinEntry, PinPart
from hsm.binding import Binding
from hsm.child import Child
from hsm.evidence import text
from hsm.module import measure_module
from hsm.offering import offered

DEAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Deal:
    """What the new PIN is to be: its length, digits alone or not, and `threshold` of `count`."""

    threshold: int
    count: int
    length: int
    digits: bool


class Dealing:
    """One process that deals one new PIN; `paper` is the descriptor that shares are written to.

    Every method raises TokenTrouble (KEY-CHILD, KEY-PIN-..., KEY-TOKEN, KEY-REFUSED).
    """

    def __init__(self, binding: Binding, uri: tuple[tuple[str, str], ...], paper: int) -> None:
        measure_module(binding.module)
        self._binding = binding
        self._uri = uri
        self._child = Child("dealing", binding, paper)

    def offer(self, typed: bytearray, part: PinPart) -> str:
        """Give the process one part of the PIN so far; return why it is none."""
        try:
            return offered(self._child, typed, part, self._binding.limits.login)
        finally:
            typed[:] = bytes(len(typed))

    def deal(self, pin: bytearray, entry: PinEntry, deal: Deal) -> str:
        """Try the PIN so far, or its parts, once, and deal a new one; return the token's label."""
        length = len(pin)
        if entry is WHOLE_PIN.entry:
            self._child.send_pin(pin)
        pin[:] = bytes(length)
        answer = self._child.ask(
            "deal",
            DEAL_SECONDS,
            module=str(self._binding.module),
            uri=self._uri,
            parts="" if entry is WHOLE_PIN.entry else entry,
            length=length,
            new_length=deal.length,
            digits=int(deal.digits),
            threshold=deal.threshold,
            count=deal.count,
        )
        return text(answer, "label")

    def show(self, number: int, head: str) -> None:
        """Have one share written to the paper, under a line that says whose it is."""
        self._child.ask("show", self._binding.limits.login, number=number, head=head)

    def hide(self) -> None:
        """Have the screen cleared, if the paper is one."""
        self._child.ask("hide", self._binding.limits.login)

    def confirm(self, number: int, typed: bytearray) -> bool:
        """Say whether what a holder typed is the share."""
        length = len(typed)
        self._child.send_pin(typed)
        typed[:] = bytes(length)
        limit = self._binding.limits.login
        return self._child.ask("confirm", limit, number=number, length=length).get("same") is True

    def set(self) -> None:
        """Have the new PIN set; the old one holds until here."""
        self._child.ask("set", DEAL_SECONDS)

    def close(self) -> None:
        """End the process, and with it everything that knew the PIN."""
        self._child.kill()
