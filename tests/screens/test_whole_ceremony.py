"""All ten steps by keys: the real driver in the ceremony's thread, a person at the keyboard."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ceremony.driver import Driver
from ceremony.effects import Login
from ceremony.events import Aborted, Ack, Event, Excepted, Locked, Outcome
from ceremony.ports import Ports
from ceremony.questions import Form, Question
from ceremony.states import Close
from ceremony.steps import Step
from ceremony.types import Mode
from hsm.soft import REHEARSAL_PIN
from tui.app import CeremonyApp
from tui.approving import ApprovingFace
from tui.console import Blocks
from tui.faces import Closing
from tui.parts.asking import Asking
from tui.parts.replies import Replies
from tui.parts.view import Wanted
from tui.screen_face import ScreenFace
from tui.screens.step import StepScreen
from tui.ssh_keys import _sign

if TYPE_CHECKING:
    from tests.screens.conftest import Film, Stage


INPUTS = Path(__file__).parent / "ceremony"
SECONDS = 240  # of a slow machine

MOST_SECONDS = 120


class Hall:
    """One ceremony on one stage: `film` keeps the journal, the screen asks."""

    def __init__(self, film: Film, stage: type[Stage], ports: Ports, folder: Path) -> None:
        self.film = film
        self.folder = folder
        self.closed: Close | None = None
        self.signed: list[str] = []
        self.seen: list[Step] = []
        self._ports = ports
        self._stage = stage
        replies = Replies()
        self.app = CeremonyApp(self._hold, replies, clock=lambda: "2026-11-22 14:03:07Z")
        self.face = ScreenFace(self.app.post_message, replies, (64, 22), Blocks.CELLS)
        self.replies = replies

    def _hold(self) -> None:
        self.face.begin(Mode.REHEARSAL)
        journal = _Journal(self)
        signers = {person: partial(_sign, INPUTS / person) for person in ("kim", "kay")}
        people = ApprovingFace(self.face, self.folder, signers)
        ports = Ports(people, self._ports.media, self._ports.bundle, self._ports.token, journal,
                      self._ports.world)  # fmt: skip
        self.closed = Driver(ports, {}).run()

    async def run(self, keys: dict[str, str]) -> None:
        """Answer by keys; `keys` are function keys pressed instead at named questions, once."""
        async with self.app.run_test(size=(80, 25)) as pilot:
            on = self._stage(self.app, pilot, self.replies)
            last: Wanted | None = None
            limit = time.monotonic() + SECONDS
            end = time.monotonic() + MOST_SECONDS
            while self.app.is_running and self.closed is None:
                assert time.monotonic() < end, last
                assert time.monotonic() < limit, f"waited for {self.app._view.wanted}"
                await pilot.pause(0.01)
                wanted = self.app._view.wanted
                if wanted is None or wanted is last:
                    continue
                if not _ready(on, wanted):
                    await self._read_on(on)
                    continue
                last = wanted
                self.seen.append(on.front.STEP)
                key = keys.pop(wanted.name, "") if isinstance(wanted, Question) else ""
                await (self._instead(on, key) if key else self._answer(on, wanted))
        if self.app.fault is not None:
            raise self.app.fault

    async def _read_on(self, on: Stage) -> None:
        """Turn the page of what has to be read to its end."""
        if isinstance(on.app.screen, StepScreen) and not on.front.page.read:
            await on.pilot.press("pagedown")

    async def _instead(self, on: Stage, key: str) -> None:
        await on.pilot.press(key)
        fields = {"f3": ("ed", "quiet", "noise", "go on"), "f8": ("ines",), "f10": ("kim", "why")}
        for text in fields[key]:
            await on.type(text)
            await on.pilot.press("tab")
        await on.pilot.press("f9")

    async def _answer(self, on: Stage, wanted: Wanted) -> None:
        if len(self.app._view.persons) > 1:
            await on.type(self.app._view.persons[-1])
            await on.pilot.press("enter")
        match wanted:
            case Question(form=Form.SIGNATURE):
                await on.type(wanted.persons[-1])
            case Question():
                await on.type(self.film._good(wanted))
            case Login():
                await on.type(REHEARSAL_PIN)
            case Closing(enough=False):
                await on.type(wanted.rehearsal_signers[0])
            case _:
                pass
        await on.pilot.press("f9")


def _ready(on: Stage, wanted: Wanted) -> bool:
    """Tell whether the screen in front takes an answer to `wanted`."""
    found = on.app.screen.query(Asking)
    return bool(found) and found.first()._wanted is wanted and found.first().live


class _Journal:
    """The film's lines, shown on the screen, and countersigned there."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self.append_line = hall.film.append

    def append(self, event: Event) -> None:
        """Append, then show."""
        self.append_line(event)
        self._hall.face.recorded(event, self._hall.film.head)

    def publish(self, closed: Close) -> int:
        """Collect two countersignatures."""
        hall, film = self._hall, self._hall.film
        film._state = closed
        film.publish(closed)
        closing = film.moments[-1].wanted
        assert isinstance(closing, Closing)
        while True:
            signers = tuple(p for p in closing.rehearsal_signers if p not in hall.signed)
            said = hall.face.countersign(
                Closing(closing.head, closing.outcome, closing.why, closing.files,
                        closing.checkpoint, tuple(hall.signed), closing.needed, signers)
            )  # fmt: skip
            if said is None:
                return len(hall.signed)
            hall.signed.append(said)


@pytest.fixture
def hall(
    new_film: type[Film],
    new_stage: type[Stage],
    fixed_ports: Ports,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Hall:
    monkeypatch.setattr("tui.parts.asking.ARM_SECONDS", 0.05)
    return Hall(new_film(), new_stage, fixed_ports, tmp_path)


def test_all_ten_steps_by_keys(hall: Hall) -> None:
    asyncio.run(hall.run({}))
    assert hall.closed is not None
    assert hall.closed.outcome is Outcome.OK
    assert hall.signed == ["ines", "ed"]
    assert list(dict.fromkeys(hall.seen)) == list(Step)
    acks = [e.event for e in hall.film._entries if isinstance(e.event, Ack)]
    assert [a.person for a in acks if a.name == "sign.approve"] == ["kay"]


def test_exception_and_lock_are_recorded_and_the_ceremony_goes_on(hall: Hall) -> None:
    asyncio.run(hall.run({"inspect.meaning": "f3", "sign.approve": "f8"}))
    assert hall.closed is not None
    assert hall.closed.outcome is Outcome.OK
    events = [e.event for e in hall.film._entries]
    assert Excepted("ed", "quiet", "noise", "go on") in events
    assert [e.person for e in events if isinstance(e, Locked)] == ["ines"]


@pytest.mark.parametrize("name", ["open.roles", "read_back.words", "sign.approve"])
def test_an_abort_ends_in_a_sealed_transcript(name: str, hall: Hall) -> None:
    asyncio.run(hall.run({name: "f10"}))
    assert hall.closed is not None
    assert hall.closed.outcome is Outcome.ABORTED
    assert Aborted("kim", "why") in [e.event for e in hall.film._entries]
