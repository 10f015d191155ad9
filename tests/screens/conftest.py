"""A whole ceremony with fixed inputs, so that every screen can be drawn from a real state.

The engine, the driver, the media reader and the practice key are the real ones; only the
clock, the dice, the machine and the disks stand still. Two runs give the same head words.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from ceremony.approval import NAMESPACE
from ceremony.content import Content
from ceremony.driver import Driver
from ceremony.effects import Buffer, Login, Output
from ceremony.engine import RULESET
from ceremony.events import (
    FORMAT,
    Begun,
    Event,
    MediaRead,
    OutputFile,
    PolicyRead,
    SecondOpinion,
)
from ceremony.ingest.media import FolderMedia
from ceremony.machine import BlockDevice, Interface, Machine
from ceremony.ports import Interruption, Ports, Progress, Report
from ceremony.questions import Answer, Form, Question
from ceremony.states import Close, State
from ceremony.steps import Step
from ceremony.token import TokenEvidence
from ceremony.types import Finding, Mode
from ceremony.words import words
from hsm.soft import REHEARSAL_PIN
from transcripts.checkpoint import Head, origin
from transcripts.log import FIRST, Line, Stamp, link
from transcripts.merkle import Tree
from tui.app import CeremonyApp
from tui.console import Blocks
from tui.faces import Closing
from tui.parts import messages, qr
from tui.parts.replies import Replies, ScreenGone
from tui.parts.view import Entry, Wanted
from tui.screens import StepScreen
from tui.ssh_keys import _sign
from tui.tokens import PracticeToken

INPUTS = Path(__file__).parent / "ceremony"
CEREMONY = "5f3a91c27d0e4b86a1c94e2f60b7d835"
WALL = "2026-11-22T14:03:07Z"
CLOCK = "2026-11-22 14:03:07Z"
ROOM = (64, 22)


class FixedWorld:
    """A machine that never changes, at one moment."""

    def begun(self) -> Begun:
        """Return the first line."""
        steps = tuple(str(step) for step in Step)
        return Begun(
            FORMAT, CEREMONY, Mode.REHEARSAL, RULESET, steps, "2026.11.0", "0" * 64, "3.13.0",
            ("log-a", "log-b"), None,
        )  # fmt: skip

    def survey(self) -> Machine:
        """Return a laptop with one disk left in it."""
        return Machine(
            kernel="6.12.9-amd64",
            architecture="x86_64",
            boot_id="0b6f3c2e-5a51-4c0e-9d1b-2f3a4b5c6d7e",
            time_zone="UTC",
            secure_boot="enabled",
            lockdown="integrity",
            interfaces=(Interface("lo", "up", hardware=False),),
            radios=(),
            swap=(),
            block_devices=(
                BlockDevice("sda", 15_728_640_000, removable=True, read_only=True, mounts=()),
                BlockDevice(
                    "nvme0n1", 256_060_514_304, removable=False, read_only=False, mounts=()
                ),
            ),
        )

    def wall(self) -> str:
        """Return the one moment."""
        return WALL

    def draw(self, count: int, among: int) -> tuple[int, ...]:
        """Return places spread over the sheet."""
        return tuple(range(3, among + 1, among // count))[:count]

    def second(self, pieces: Callable[[], Iterator[Buffer]], certificate: bytes) -> SecondOpinion:
        """Accept, as sbverify does."""
        return SecondOpinion("sbverify", "accepted", "Signature verification OK")


class FixedMedia(FolderMedia):
    """The inputs in this folder, at a place that reads the same everywhere."""

    def read(
        self, names: tuple[str, ...], most_bytes: int, report: Report
    ) -> tuple[MediaRead, Content]:
        """Read them for real."""
        media, image = super().read(names, most_bytes, report)
        return replace(media, source="/media/IN-A", mount="ro"), image


class FixedToken(PracticeToken):
    """The practice key, describing itself as a token that people can look at."""

    def probe(self, certificate: bytes, uri: str) -> TokenEvidence:
        """Return the evidence, with a model and a module."""
        return replace(
            super().probe(certificate, uri),
            token_model="SoftHSM v2",
            token_serial="3ec68b2a0a3b8779",
            module_path="/usr/lib/softhsm/libsofthsm2.so",
            module_sha256="10a23f17bc75e66a55c3a7b727ad00b6" * 2,
        )


class MemoryBundle:
    """Outputs that are made and measured, and kept nowhere."""

    def write(self, outputs: tuple[Output, ...], report: Report) -> tuple[OutputFile, ...]:
        """Measure every output."""
        made = []
        for done, output in enumerate(outputs, start=1):
            data = b"".join(bytes(piece) for piece in output.pieces())
            digest = hashlib.sha256(data).hexdigest()
            made.append(OutputFile(output.file.name, len(data), digest))
            report(Progress("writing", done, len(outputs), "files"))
        return tuple(made)

    def withdraw(self, names: tuple[str, ...]) -> None:
        """Take back nothing: nothing is kept."""

    def room(self) -> tuple[int, tuple[int, ...], bool]:
        """Return plenty."""
        return 2**40, (2**40, 2**40), True


@dataclass(frozen=True)
class Moment:
    """What a face was told by the time something was wanted of a person."""

    state: State
    wanted: Wanted | None
    entries: tuple[Entry, ...]


class Film:
    """A ceremony's moments; it is journal and human at once, and answers well."""

    def __init__(self, other: dict[str, str] | None = None) -> None:
        """`other` gives other answers to named questions."""
        self.moments: list[Moment] = []
        self._other = other or {}
        self._tree = Tree()
        self._prev = FIRST
        self._entries: tuple[Entry, ...] = ()
        self._state: State | None = None

    # the journal

    def append(self, event: Event) -> None:
        """Make the line that a journal would write, and the head over it."""
        number = self._tree.size
        stamp = Stamp(1_000_000_000 * number, "boot", WALL)
        raw = Line(CEREMONY, number, self._prev, stamp, event).to_bytes()
        self._tree.append(raw)
        self._prev = link(raw)
        self._entries += (Entry(event, self.head),)

    @property
    def head(self) -> Head:
        """Return the head over all lines."""
        return Head(origin(CEREMONY, Mode.REHEARSAL), self._tree.size, self._tree.root())

    def publish(self, closed: Close) -> int:
        """Keep the last moment."""
        checkpoint = Path("/media/OUT-A/checkpoint.txt")
        signers = ("ines", "ed", "kim", "kay")
        needed = closed.policy.countersignatures.threshold if closed.policy else 0
        self._keep(
            Closing(
                self.head, closed.outcome, closed.why, closed.files, checkpoint, (), needed, signers
            )
        )
        return 0

    # the human

    def answer(self, question: Question) -> Answer | Interruption:
        """Answer as a well-prepared team would."""
        self._keep(question)
        return Answer(question.persons[0], self._other.get(question.name) or self._good(question))

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        """Type the practice PIN."""
        self._keep(login)
        return login.persons[0], bytearray(REHEARSAL_PIN.encode())

    def tell(self, news: State | Progress | tuple[Finding, ...]) -> None:
        """Remember the state."""
        if not isinstance(news, Progress | tuple):
            self._state = news
            self._keep(None)

    def _keep(self, wanted: Wanted | None) -> None:
        assert self._state is not None
        self.moments.append(Moment(self._state, wanted, self._entries))

    def _good(self, question: Question) -> str:
        match question.form:
            case Form.CONFIRM:
                return question.word
            case Form.TIME:
                return "2026-11-22 14:03"
            case Form.STATEMENT:
                return "agree"
            case Form.REASON:
                return "practised on purpose"
            case Form.SIGNATURE:
                key = INPUTS / question.persons[0]
                return _sign(key, NAMESPACE, question.document.encode()).decode()
            case Form.WORDS:
                digest = hashlib.sha256((INPUTS / "in" / "anchor.efi").read_bytes()).digest()
                return " ".join(words(digest)[p - 1] for p in FixedWorld().draw(6, 32))

    # what tests take

    def at(self, name: str) -> Moment:
        """Return the first moment at which the question `name` was asked."""
        return next(
            m for m in self.moments if isinstance(m.wanted, Question) and m.wanted.name == name
        )

    def at_step(self, step: Step) -> Moment:
        """Return the last moment of a step."""
        return [m for m in self.moments if m.state.step is step][-1]


def held(film: Film) -> Film:
    """Hold the ceremony that `film` watches."""
    media = FixedMedia(INPUTS / "in", INPUTS / "policy.toml")
    ports = Ports(film, media, MemoryBundle(), FixedToken(), film, FixedWorld())
    Driver(ports, {}).run()
    return film


@pytest.fixture
def new_film() -> type[Film]:
    """Return what makes an empty film."""
    return Film


@pytest.fixture
def fixed_ports() -> Ports:
    """Return ports without people and journal (a film stands in for both)."""
    media = FixedMedia(INPUTS / "in", INPUTS / "policy.toml")
    film = Film()
    return Ports(film, media, MemoryBundle(), FixedToken(), film, FixedWorld())


@pytest.fixture(scope="session")
def film() -> Film:
    """Return a ceremony that went well."""
    return held(Film())


@pytest.fixture(scope="session")
def misread() -> Film:
    """Return a ceremony that ended because the words were read wrong twice."""
    return held(Film({"read_back.words": "no no no no no no"}))


@dataclass
class Stage:
    """An app without a ceremony's thread: news goes in, replies are kept."""

    app: CeremonyApp
    pilot: Pilot[None]
    replies: Replies
    said: SimpleQueue[object] = field(default_factory=SimpleQueue)

    async def play(
        self, moment: Moment, blocks: Blocks = Blocks.CELLS, room: tuple[int, int] = ROOM
    ) -> None:
        """Tell all that leads to a moment, and wait until it is drawn."""
        post = self.app.post_message
        post(messages.Began(Mode.REHEARSAL))
        for entry in moment.entries:
            post(messages.Kept(entry.event, entry.head))
        post(messages.Told(moment.state))
        if moment.wanted is not None:
            code = None
            if isinstance(moment.wanted, Closing):
                code = qr.make(moment.wanted.head.text, *ROOM, blocks)
            elif isinstance(moment.wanted, Question) and moment.wanted.document:
                code = qr.make(moment.wanted.document.encode(), *room, blocks)
            post(messages.Asked(moment.wanted, code))
        await self.pilot.pause()
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type a text into the focused field (pilot.press takes 30 ms a key)."""
        assert self.app.focused is not None
        for character in text:
            self.app.focused.post_message(events.Key(_character_to_key(character), character))
        await self.pilot.pause()

    async def text(self) -> str:
        """Return what stands on the screen, as text, once nothing moves any more."""
        for _ in range(3):
            await self.pilot.pause()
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips) + "\n"

    @property
    def front(self) -> StepScreen:
        """Return the step's screen in front."""
        assert isinstance(self.app.screen, StepScreen)
        return self.app.screen

    async def reply(self) -> object:
        """Return the next thing that was said."""
        await self.pilot.pause()
        return self.said.get(timeout=5)


@pytest.fixture
def new_stage() -> type[Stage]:
    """Return what makes a stage."""
    return Stage


Scene = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scene], None]:
    """Return what runs a scene on an 80x25 stage."""
    monkeypatch.setattr("tui.parts.asking.ARM_SECONDS", 0.05)

    def run(scene: Scene, size: tuple[int, int] = (80, 25)) -> None:
        asyncio.run(_run(scene, size))

    return run


async def _run(scene: Scene, size: tuple[int, int]) -> None:
    replies = Replies()
    said: SimpleQueue[object] = SimpleQueue()

    def listen() -> None:
        while True:
            try:
                said.put(replies.get())
            except ScreenGone:
                return

    app = CeremonyApp(listen, replies, clock=lambda: CLOCK)
    async with app.run_test(size=size) as pilot:
        await scene(Stage(app, pilot, replies, said))
        replies.close("the scene is over")


__all__ = ["Film", "FixedMedia", "FixedWorld", "MemoryBundle", "Moment", "PolicyRead", "Stage"]
