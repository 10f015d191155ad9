"""What a face is: the people's side of a ceremony, whether full screen, prompts or a script.

A face owns no facts. It is told the state and what was recorded, it draws them, and it
gives back what people said. All faces are driven by the same loop in another thread or in
the same one; only the full screen knows which.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ceremony.effects import Login
from ceremony.events import Event, Outcome, OutputFile
from ceremony.ports import Interruption, Progress
from ceremony.questions import Answer, Question
from ceremony.states import State
from ceremony.types import Finding, Mode
from transcripts.checkpoint import Head


@dataclass(frozen=True, slots=True)
class Closing:
    """A closed transcript whose checkpoint waits for people's signatures.

    `checkpoint` is the path of checkpoint.txt in the bundle; `signed` are the witnesses who
    signed so far, `needed` how many must: none where no policy was admitted, which alone names
    people. `rehearsal_signers` are persons whose practice
    keys are on this machine (rehearsal only): typing such a person's id signs with it.
    """

    head: Head
    outcome: Outcome
    why: tuple[Finding, ...]
    files: tuple[OutputFile, ...]
    checkpoint: Path
    signed: tuple[str, ...]
    needed: int
    rehearsal_signers: tuple[str, ...]

    @property
    def signable(self) -> bool:
        """Tell whether a policy names anybody whose signature counts."""
        return self.needed > 0

    @property
    def enough(self) -> bool:
        """Tell whether enough witnesses signed."""
        return len(self.signed) >= self.needed


class Face(Protocol):
    """People, as the ceremony sees them (ceremony.ports.Human, and what is shown besides)."""

    def begin(self, mode: Mode) -> None:
        """Learn the mode, before anything else; it stays in view from here on."""
        ...

    def answer(self, question: Question) -> Answer | Interruption:
        """Return a person's answer, or what they did instead (F3, F8, F10)."""
        ...

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        """Return who typed and the PIN; the caller wipes it."""
        ...

    def tell(self, news: State | Progress | tuple[Finding, ...]) -> None:
        """Show how far the ceremony is, how far a long act is, or why an answer was refused."""
        ...

    def recorded(self, event: Event, head: Head) -> None:
        """Show that an event is on every log, and the head over all lines so far."""
        ...

    def countersign(self, closing: Closing) -> str | None:
        """Show the checkpoint; return a path or a rehearsal signer's id, None when done."""
        ...
