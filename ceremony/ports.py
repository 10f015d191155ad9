"""The ports: what the driver needs of the world, few methods each.

Full screen, plain prompts, the rehearsal's script, tests and replay differ only here.
Every method may raise Trouble (a device or medium is at fault); anything else is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ceremony.content import Content
from ceremony.effects import Buffer, Login, Output
from ceremony.events import (
    Aborted,
    Begun,
    Event,
    Excepted,
    Locked,
    MediaRead,
    OutputFile,
    PolicyRead,
    SecondOpinion,
)
from ceremony.machine import Machine
from ceremony.pin_parts import PinEntry, PinPart
from ceremony.pin_uses import UsePin, nobody
from ceremony.questions import Answer, Question
from ceremony.states import Close, State
from ceremony.token import LoginResult, SignRequest, SignResult, TokenEvidence
from ceremony.types import Finding

Interruption: TypeAlias = Excepted | Aborted | Locked


@dataclass(frozen=True, slots=True)
class Progress:
    """Real counts of a long act: `done` of `total` units, and what is being done."""

    what: str
    done: int
    total: int
    unit: str


Report: TypeAlias = Callable[[Progress], None]


class Human(Protocol):
    """People: they answer, they type PINs, they are told."""

    def answer(self, question: Question) -> Answer | Interruption:
        """Return a person's answer, or what they did instead."""
        ...

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        """Return who typed, and the PIN or the part of it that is asked; the caller wipes it."""
        ...

    def tell(self, news: State | Progress | tuple[Finding, ...]) -> None:
        """Show how far the ceremony is, how far a long act is, or why an answer was refused."""
        ...


class Media(Protocol):
    """What comes in."""

    def read_policy(self) -> PolicyRead:
        """Return the policy and the signatures beside it."""
        ...

    def read(
        self, names: tuple[str, ...], most_bytes: int, report: Report
    ) -> tuple[MediaRead, Content]:
        """Return what is on the medium, and the image's copy, which nobody can change."""
        ...


class Bundle(Protocol):
    """What goes out."""

    def write(self, outputs: tuple[Output, ...], report: Report) -> tuple[OutputFile, ...]:
        """Write every output atomically, read each back, and return what was read."""
        ...

    def withdraw(self, names: tuple[str, ...]) -> None:
        """Take back outputs of an earlier try, by name."""
        ...

    def room(self) -> tuple[int, tuple[int, ...], bool]:
        """Return free bytes for outputs, for each log, and whether the folder is empty."""
        ...


class Token(Protocol):
    """The key."""

    def probe(self, certificate: bytes, uri: str) -> TokenEvidence:
        """Return what the token that holds the certificate's key says of itself."""
        ...

    def offer(self, typed: bytearray, part: PinPart) -> str:
        """Give the token's process one part of the PIN, and wipe it; return why it is none.

        The first part makes it forget the parts before. "" means that it was taken.
        """
        ...

    def login(
        self, pin: bytearray, entry: PinEntry = PinEntry.WHOLE, use: UsePin = nobody
    ) -> LoginResult:
        """Log in once, with `pin`, which is wiped, or with the parts that were offered.

        `use` is asked for the PIN of the test signature where the key asks for it at every use.
        """
        ...

    def sign(self, request: SignRequest, use: UsePin = nobody) -> SignResult:
        """Sign the digest of `request`; `use` is asked for the PIN where the key asks for it."""
        ...

    def close(self) -> None:
        """Log out."""
        ...


class Journal(Protocol):
    """The transcript being written."""

    def append(self, event: Event) -> None:
        """Make `event` the next line on every log medium, durably, before returning."""
        ...

    def publish(self, closed: Close) -> int:
        """Make the checkpoint, collect countersignatures, return how many persons signed."""
        ...


class World(Protocol):
    """The machine around: its devices, its clock, its dice, its other tools."""

    def begun(self) -> Begun:
        """Return the first line of a new ceremony."""
        ...

    def survey(self) -> Machine:
        """Return the machine as it describes itself."""
        ...

    def wall(self) -> str:
        """Return the clock reading, "YYYY-MM-DDTHH:MM:SSZ"."""
        ...

    def draw(self, count: int, among: int) -> tuple[int, ...]:
        """Return `count` distinct ascending places of 1..`among`, drawn by chance."""
        ...

    def second(self, pieces: Callable[[], Iterator[Buffer]], certificate: bytes) -> SecondOpinion:
        """Return another implementation's word on the signed image."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """One port of each sort."""

    human: Human
    media: Media
    bundle: Bundle
    token: Token
    journal: Journal
    world: World
