"""Every step's screen, drawn from a real state, as the text that stands on an 80x25 console.

The files in snapshots/ are the pictures in CEREMONY.md. With UPDATE_SNAPSHOTS=1 they are
written anew, to be looked at before they are committed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from ctypes.util import find_library
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ceremony.effects import Ask, Login
from ceremony.engine import judge, sign
from ceremony.pin_uses import PinUse
from ceremony.release_rules import LedgerRule
from ceremony.states import Judge, Sign
from ceremony.steps import Step
from tui.console import COLUMNS, ROWS
from tui.parts.lines import BUDGET, MARKS
from tui.parts.page import Page
from tui.screens import SCREEN_FOR

if TYPE_CHECKING:
    from tests.screens.conftest import Film, Moment, Scene, Stage

needs_zbar = pytest.mark.skipif(find_library("zbar") is None, reason="libzbar0 is not installed")
STEPS = [pytest.param(s, marks=needs_zbar) if s is Step.CLOSE else s for s in Step]
SNAPSHOTS = Path(__file__).parent / "snapshots"
SHOWN = {
    Step.OPEN: "open.roles",
    Step.INVENTORY: "inventory.seen",
    Step.INGEST: "ingest.removed",
    Step.INSPECT: "inspect.meaning",
    Step.JUDGE: "judge.seen",
    Step.READ_BACK: "read_back.words",
    Step.SIGN: "sign.approve",
    Step.VERIFY: "verify.seen",
    Step.SEAL: "seal.statement",
}


def moment_of(film: Film, step: Step) -> Moment:
    return film.at(SHOWN[step]) if step in SHOWN else film.at_step(step)


def compare(name: str, text: str) -> None:
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("step", STEPS)
def test_each_step_has_its_picture(step: Step, film: Film, stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        await on.play(moment_of(film, step))
        assert type(on.front) is SCREEN_FOR[step]
        compare(step.value, await on.text())
        keeps_in_view(await on.text(), step, moment_of(film, step))

    stage(scene)


def keeps_in_view(text: str, step: Step, moment: Moment) -> None:
    top, head, *rest = text.splitlines()
    last = moment.entries[-1].head
    for shown in (f"Event {last.count:04d}", "Ceremony 5f3a91c2", "2026-11-22 14:03:07Z"):
        assert shown in top
    assert top.endswith(" REHEARSAL")
    assert last.spoken in head
    for other in Step:
        mark = "►" if other is step else "√" if other.number < step.number else " "
        row = next(row for row in rest if f"{other.number:2d} {other.heading}" in row)
        assert row.startswith(mark)


def test_the_pin_has_its_picture(film: Film, stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        login = next(m for m in film.moments if type(m.wanted).__name__ == "Login")
        await on.play(login)
        await on.pilot.pause(0.1)
        await on.type("kim")
        await on.pilot.press("enter")
        await on.type("1234")
        compare("sign-pin", await on.text())
        assert "1234" not in await on.text()

    stage(scene)


def test_the_pin_of_a_later_use_has_its_picture(film: Film, stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        moment = next(m for m in film.moments if isinstance(m.wanted, Login))
        assert isinstance(moment.wanted, Login)
        again = moment.wanted.before(PinUse.SIGNATURE, ("kim",), "ok")
        await on.play(replace(moment, wanted=again))
        await on.pilot.pause(0.1)
        compare("sign-pin-again", await on.text())

    stage(scene)


def test_after_an_interruption_the_time_is_asked_for(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        moment = film.at("sign.approve")
        assert isinstance(moment.state, Sign)
        state = sign.interrupted(moment.state)
        wanted = sign.wants(state)
        assert isinstance(wanted, Ask)
        await on.play(replace(moment, state=state, wanted=wanted.question))
        compare("sign-time", await on.text())

    stage(scene)


@needs_zbar
def test_a_ceremony_that_failed_has_its_pictures(
    misread: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(misread.at("read_back.words"))
        await on.play(misread.at_step(Step.SEAL))
        compare("seal-aborted", await on.text())
        await on.play(misread.moments[-1])
        compare("close-aborted", await on.text())

    stage(scene)


@pytest.mark.parametrize("step", list(Step))
def test_each_screen_fits_and_keeps_to_the_glyphs_of_the_console(
    step: Step, film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(moment_of(film, step))
        screens = {"step": await on.text()}
        for key in ("f1", "f2", "f3", "f8", "f10"):
            await on.pilot.press(key)
            screens[key] = await on.text()
            if key == "f8":
                await on.type("ines")
                await on.pilot.press("f9")
            else:
                await on.pilot.press("escape")
        for name, text in screens.items():
            rows = text.splitlines()
            assert len(rows) == ROWS, name
            assert max(len(row) for row in rows) <= COLUMNS, name
            assert set(text) <= BUDGET | MARKS | {"\n"}, (name, set(text) - BUDGET - MARKS)
        assert on.app.screen.max_scroll_y == 0
        assert rows[-1].strip().startswith("F1 Help" if name == "step" else "")

    stage(scene)


@pytest.mark.parametrize("step", [Step.OPEN, Step.INSPECT, Step.JUDGE, Step.READ_BACK, Step.SIGN])
def test_what_a_step_shows_is_in_view_without_paging(
    step: Step, film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(moment_of(film, step))
        assert on.front.query_one("#facts", Page).read

    stage(scene)


def test_the_ledgers_head_has_its_picture(film: Film, stage: Callable[[Scene], None]) -> None:
    """Nothing is shown of a verdict while people still compare the ledger with paper."""
    seen = film.at("judge.seen")
    assert isinstance(seen.state, Judge)
    session = seen.state.session
    policy = replace(session.policy, ledger=LedgerRule("ledger.jsonl"))
    state = replace(seen.state, session=replace(session, policy=policy), decided=None)
    effect = judge.wants(state)
    assert isinstance(effect, Ask)

    async def scene(on: Stage) -> None:
        await on.play(replace(seen, state=state, wanted=effect.question))
        text = await on.text()
        assert "ACCEPT" not in text
        compare("judge-ledger", text)

    stage(scene)
