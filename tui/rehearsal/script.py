"""The rehearsal's script: answers every question as a well-prepared team would.

It exists in rehearsal mode only: in production people answer. What people bring from
elsewhere (the words, the PIN) it takes from sheet P, never from the ceremony's own state.
Without anybody in the room it stops at the first refusal that takes hands to mend.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from ceremony.effects import Login
from ceremony.errors import MediaTrouble, OutOfOrder
from ceremony.events import Aborted, Event
from ceremony.pin_parts import PinEntry
from ceremony.pin_uses import PinUse
from ceremony.ports import Interruption, Progress
from ceremony.questions import AGREE, Answer, Form, Question
from ceremony.states import State
from ceremony.types import Finding, Mode
from transcripts.checkpoint import Head
from tui.faces import Closing

MOST_ASKED = 8  # the same question this often means that no answer helps

HANDS = ("inventory.again", "ingest.again", "sign.again", "sign.pin_again", "seal.again")
_REFUSED = re.compile(r"^(?:refuse )?((?:[A-Z0-9]+-)+[A-Z0-9]+): (.+)$")
_ROW = re.compile(r"^ +\d+ +((?:[A-Za-z]+ *)+)$", re.MULTILINE)
_PIN = re.compile(r"^rehearsal PIN: (\S+)$", re.MULTILINE)
_PLACES = re.compile(r"^ +((?:\d+, )*\d+)$")


class ScriptFace:
    """A face that answers by itself; `instead` gives other answers to named questions, in turn."""

    def __init__(
        self,
        sheet: Path,
        writer: TextIO = sys.stdout,
        instead: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        try:
            text = sheet.read_text("utf-8")
        except OSError as error:
            raise MediaTrouble("MED-PATH", f"{sheet}: {error.strerror}") from None
        self._words = [word for row in _ROW.findall(text) for word in row.split()]
        self._pin = "".join(_PIN.findall(text)[:1])
        self._writer = writer
        self._instead = {name: list(answers) for name, answers in (instead or {}).items()}
        self._asked: dict[str, int] = {}

    def begin(self, mode: Mode) -> None:
        """Refuse any mode but rehearsal: nobody but people answers in production."""
        if mode is not Mode.REHEARSAL:
            raise OutOfOrder("a script answers in rehearsals only")

    def answer(self, question: Question) -> Answer | Interruption:
        """Answer as the script says."""
        self._asked[question.name] = asked = self._asked.get(question.name, 0) + 1
        if asked > MOST_ASKED:
            said = "; ".join(question.shown[:3])
            raise MediaTrouble("APP-ANSWER", f"{question.name} is asked again and again: {said}")
        other = self._instead.get(question.name)
        if question.form is Form.REASON and not other:
            # A reason is a person's to give: no script overrides a builder's veto.
            return Aborted(question.persons[0], f"a script gives no reason for {question.name}")
        text = other.pop(0) if other else self._scripted(question)
        self._say(f"  {question.persons[0]} ({question.role}): {text}")
        return Answer(question.persons[0], text)

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        """Type the PIN that stands on the sheet, or this person's half of it."""
        other, part = self._instead.get("pin"), login.part
        again = "" if login.use is PinUse.LOGIN else f", {login.use.counted}"
        self._say(f"  {login.persons[0]} (key holder): {part.said} typed{again}")
        text = self._pin
        if part.entry is PinEntry.HALVES:
            middle = len(text) // 2
            text = text[:middle] if part.number == 1 else text[middle:]
        return login.persons[0], bytearray((other.pop(0) if other else text).encode("ascii"))

    def tell(self, news: State | Progress | tuple[Finding, ...]) -> None:
        """Print refusals; progress is of no use to a script."""
        if isinstance(news, tuple):
            for finding in news:
                self._say(f"  {finding.rule}: {finding.text}")

    def recorded(self, event: Event, head: Head) -> None:
        """Print each line as it is recorded."""
        self._say(f"[{head.count:04d}] {event.name:<24} {head.spoken}")

    def countersign(self, closing: Closing) -> str | None:
        """Let every practice key sign that is still needed."""
        if closing.enough or not closing.rehearsal_signers:
            return None
        self._say(f"  {closing.rehearsal_signers[0]} countersigns the checkpoint")
        return closing.rehearsal_signers[0]

    def _scripted(self, question: Question) -> str:
        match question.form:
            case Form.CONFIRM:
                return question.word
            case Form.TIME:
                return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
            case Form.WORDS:
                return " ".join(self._words[place - 1] for place in _places(question))
            case Form.STATEMENT:
                return AGREE
            case Form.SIGNATURE:
                return question.persons[0]  # whose practice key is on this machine
            case Form.REASON:
                raise OutOfOrder("a reason is a person's to give")

    def _say(self, line: str) -> None:
        self._writer.write(line + "\n")


class UnattendedFace(ScriptFace):
    """The script with nobody in the room: no answer frees a medium or looks a PIN up."""

    def answer(self, question: Question) -> Answer | Interruption:
        """Answer as the script says; stop where only people with hands can go on."""
        if question.name in HANDS:
            found = [match for line in question.shown if (match := _REFUSED.match(line))]
            rule = found[0].group(1) if found else "APP-ANSWER"
            said = "; ".join(match.group(2) for match in found if match.group(1) == rule)
            raise MediaTrouble(rule, said or "; ".join(question.shown))
        return super().answer(question)


def _places(question: Question) -> list[int]:
    found = [m.group(1) for line in question.shown if (m := _PLACES.match(line))]
    return [int(place) for place in found[0].split(", ")] if found else []
