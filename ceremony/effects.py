"""What the engine wants done next. A driver performs it through a port and feeds back the event.

An effect is a pure function of the state, so a ceremony that was interrupted anywhere
wants exactly what it wanted before. Nothing here is done by being made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from ceremony.events import Decided, Intended, OutputFile, OutputsIntended
from ceremony.pin_parts import WHOLE_PIN, PinPart
from ceremony.pin_uses import PinUse, shown
from ceremony.questions import Question
from ceremony.token import PinState, SignRequest

Buffer: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Begin:
    """Write the first line."""


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """Read the policy file and the signatures beside it."""


@dataclass(frozen=True, slots=True)
class ReadClock:
    """Read the machine's clock."""


@dataclass(frozen=True, slots=True)
class Survey:
    """List the machine's interfaces, swap areas and block devices."""


@dataclass(frozen=True, slots=True)
class ReadMedia:
    """Copy the image and the small files into memory, once.

    `names` are the names the image may have; `most_bytes` its cap.
    """

    names: tuple[str, ...]
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Put a question to a person."""

    question: Question


@dataclass(frozen=True, slots=True)
class Record:
    """Append an event that the engine itself determined."""

    event: Decided | Intended | OutputsIntended


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw `count` distinct positions of 1..`among` by chance."""

    count: int
    among: int


@dataclass(frozen=True, slots=True)
class ProbeToken:
    """Find the token that holds the certificate's key, without a PIN."""

    certificate: bytes
    uri: str


@dataclass(frozen=True, slots=True)
class MeasureRoom:
    """Measure free space on the output and log media."""


@dataclass(frozen=True, slots=True)
class FixTime:
    """Read the clock for the signing time."""


@dataclass(frozen=True, slots=True)
class Login:
    """Ask one of `persons` for the PIN, or several for a part each, and log in with it, once.

    `part` is what is typed first, and `typed` who has typed the parts before it. Before another
    `use` of a key that asks for its PIN at each, `turns` typed it, or its parts in this order.
    """

    persons: tuple[str, ...]
    shown: tuple[str, ...]
    pin_state: PinState
    protected_path: bool
    part: PinPart = WHOLE_PIN
    typed: tuple[str, ...] = ()
    use: PinUse = PinUse.LOGIN
    turns: tuple[str, ...] = ()

    def before(self, use: PinUse, turns: tuple[str, ...], state: PinState) -> Login:
        """Return what is asked before another use, of those who typed the PIN at the login."""
        return Login(
            turns[:1],
            shown(use, state, turns),
            state,
            protected_path=False,
            part=replace(self.part, number=1),
            use=use,
            turns=turns,
        )

    def after(self, person: str) -> Login:
        """Return what is asked when `person` has typed this part: the next, of somebody else."""
        typed = (*self.typed, person)
        others = tuple(other for other in self.persons if other != person)
        others = self.turns[len(typed) : len(typed) + 1] or others
        part = replace(self.part, number=self.part.number + 1)
        shown = (*self.shown, f"{person} typed the {self.part.said}.")
        return replace(self, persons=others, shown=shown, part=part, typed=typed)


@dataclass(frozen=True, slots=True)
class SignNow:
    """Have the token sign; the intent is durable by now.

    `login` is the one before, where its key asks for the PIN again.
    """

    request: SignRequest
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class AskSecond:
    """Ask another implementation about the signed image."""

    pieces: Callable[[], Iterator[Buffer]]
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Output:
    """One output and how its bytes are made, piece by piece."""

    file: OutputFile
    pieces: Callable[[], Iterator[Buffer]]


@dataclass(frozen=True, slots=True)
class WriteOutputs:
    """Write all outputs under temporary names, rename, and read them back.

    `withdrawn` are names of outputs of an earlier try, to be taken back first.
    """

    outputs: tuple[Output, ...]
    withdrawn: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """The log is closed: make the checkpoint and collect the countersignatures."""


Effect: TypeAlias = (
    Begin
    | ReadPolicy
    | ReadClock
    | Survey
    | ReadMedia
    | Ask
    | Record
    | Draw
    | ProbeToken
    | MeasureRoom
    | FixTime
    | Login
    | SignNow
    | AskSecond
    | WriteOutputs
    | Publish
)
