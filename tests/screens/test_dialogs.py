"""The function keys on every screen: help, record, exception, lock, abort."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ceremony.events import Aborted, Excepted, Locked
from ceremony.questions import Answer, Form, Question
from ceremony.steps import Step
from ceremony.types import Finding, Severity
from tui.parts import messages
from tui.parts.dialogs import AbortSheet
from tui.parts.field import PinField
from tui.parts.idle import Idle
from tui.parts.replies import ScreenGone
from tui.screens import SCREEN_FOR

if TYPE_CHECKING:
    from tests.screens.conftest import Film, Scene, Stage


@pytest.mark.parametrize("step", list(Step))
def test_f1_and_f2_on_every_screen(step: Step, film: Film, stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        await on.play(film.at_step(step))
        await on.pilot.press("f1")
        assert f"HELP: {step.heading.upper()}" in await on.text()
        assert SCREEN_FOR[step].GUIDE.do[0][:40] in await on.text()
        await on.pilot.press("escape", "f2")
        assert "WHAT IS RECORDED" in await on.text()
        await on.pilot.press("escape")
        assert type(on.front) is SCREEN_FOR[step]

    stage(scene)


def test_f2_shows_verbatim_what_was_and_what_would_be_recorded(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        moment = film.at("open.roles")
        await on.play(moment)
        await on.type("PRES")
        await on.pilot.press("f2")
        text = " ".join((await on.text()).replace("│", " ").split())
        assert "F9 records open.roles (ack)" in text
        assert '{"answer":"PRES","person":"ines","role":"internal witness"' in text
        assert moment.entries[-1].event.name in text
        for _ in range(20):
            await on.pilot.press("pagedown")
        assert '"tool_sha256":"000000' in await on.text()

    stage(scene)


def test_f2_never_holds_a_pin(film: Film, stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        login = next(m for m in film.moments if type(m.wanted).__name__ == "Login")
        await on.play(login)
        await on.pilot.pause(0.1)
        await on.type("kim")
        await on.pilot.press("enter")
        await on.type("hunter2x")
        await on.pilot.press("f2")
        assert "never the PIN or its length" in await on.text()
        assert "hunter2x" not in await on.text()

    stage(scene)


def test_an_exception_has_three_lines_and_a_person(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(film.at("inspect.meaning"))
        await on.pilot.press("f3", "f9")
        assert "Fill in every line" in await on.text()
        for typed in ("mallory", "a quiet room", "the door opened", "it was shut"):
            await on.type(typed)
            await on.pilot.press("enter")
        await on.pilot.press("f9")
        assert "Who says so: carol, ines, ed, kim, kay" in await on.text()
        assert on.said.empty()
        await on.pilot.press("ctrl+u")
        await on.type("ed")
        await on.pilot.press("f9")
        expected = Excepted("ed", "a quiet room", "the door opened", "it was shut")
        assert await on.reply() == expected

    stage(scene)


def test_an_answer_half_typed_stays_through_an_exception(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        moment = film.at("read_back.words")
        assert moment.wanted is not None
        wanted = moment.wanted
        await on.play(moment)
        await on.type("ed")
        await on.pilot.press("enter")
        await on.type("one two three")
        on.app.post_message(messages.Interrupted(Excepted("ed", "a", "b", "c")))
        assert isinstance(await on.reply(), Excepted)
        on.app.post_message(messages.Told(moment.state))
        on.app.post_message(messages.Asked(wanted))
        await on.pilot.pause()
        await on.type(" four five six")
        await on.pilot.press("f9")
        assert await on.reply() == Answer("ed", "one two three four five six")

    stage(scene)


@pytest.mark.parametrize("key", ["f10", "ctrl+c", "ctrl+q"])
def test_an_abort_needs_a_reason_and_a_person(
    key: str, film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(film.at("sign.approve"))
        await on.pilot.press(key)
        assert isinstance(on.app.screen, AbortSheet)
        assert "No signature was made." in await on.text()
        await on.type("carol")
        await on.pilot.press("f9")
        assert "Say why the ceremony is aborted." in await on.text()
        await on.pilot.press("tab")
        await on.type("the token is not ours")
        await on.pilot.press("f9")
        assert await on.reply() == Aborted("carol", "the token is not ours")

    stage(scene)


def test_an_abort_leaves_no_complaint_about_the_question_before(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        moment = film.at("inspect.meaning")
        await on.play(moment)
        finding = Finding("APP-ANSWER", Severity.REFUSE, 'type exactly "UNDERSTOOD"')
        for event in (Excepted("ed", "a", "b", "c"), Aborted("ed", "the door opened")):
            on.app.post_message(messages.Faulted((finding,)))
            await on.pilot.pause()
            assert "x APP-ANSWER: type exactly" in await on.text()
            on.app.post_message(messages.Interrupted(event))
            assert await on.reply() == event
            await on.pilot.pause()
            assert ("APP-ANSWER" in await on.text()) == isinstance(event, Excepted)
            assert moment.wanted is not None
            on.app.post_message(messages.Asked(moment.wanted))
            await on.pilot.pause()

    stage(scene)


def test_an_abort_says_when_a_signature_was_made(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(film.at("seal.statement"))
        await on.pilot.press("f10")
        assert "A signature WAS made. It is recorded, and stays so." in await on.text()
        await on.pilot.press("escape")
        assert on.said.empty()

    stage(scene)


def test_the_lock_covers_everything_but_id_and_clock(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(film.at("judge.seen"))
        await on.pilot.press("f8")
        shown = [word for word in (await on.text()).split() if set(word) != {"_"}]
        assert shown == [
            *("LOCKED", "Ceremony", "5f3a91c2", "2026-11-22", "14:03:07Z"),
            *("Type", "your", "id,", "then", "F9."),
        ]
        await on.pilot.press("escape", "f1", "f10", "ctrl+c", "f9")
        await on.type("mallory")
        await on.pilot.press("f9")
        assert "LOCKED" in await on.text()
        assert on.said.empty()
        await on.pilot.press("ctrl+u")
        await on.type("ines")
        await on.pilot.press("f9")
        locked = await on.reply()
        assert isinstance(locked, Locked)
        assert locked.person == "ines"
        assert locked.seconds >= 0
        assert "5 of 10  JUDGE" in await on.text()

    stage(scene)


def test_the_screen_locks_by_itself_when_nobody_is_there(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        now = left_alone(on)
        await on.play(film.at("judge.seen"))
        await on.type("COUN")
        for seconds in (599, 599):  # a key in between counts from there
            now[0] += seconds
            on.app._tick()
            assert "LOCKED" not in await on.text()
            await on.pilot.press("T")
        now[0] += 600
        on.app._tick()
        on.app._tick()
        text = await on.text()
        assert ("LOCKED" in text, "COUN" in text, "JUDGE" in text) == (True, False, False)
        assert on.said.empty()
        await on.type("ines")
        await on.pilot.press("f9")
        locked = await on.reply()
        assert isinstance(locked, Locked)
        assert locked.person == "ines"
        assert "5 of 10  JUDGE" in await on.text()
        assert len(on.app.screen_stack) == 2  # Textual's own, and the step's: one lock was there

    stage(scene)


def left_alone(on: Stage) -> list[float]:
    """Give the app an idle clock of ours; return it."""
    now = [1000.0]
    on.app._idle = Idle(600.0, lambda: now[0])
    return now


def test_it_does_not_lock_by_itself_while_the_machine_works(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        now = left_alone(on)
        moment = film.at("ingest.removed")
        assert moment.wanted is not None
        wanted = moment.wanted
        on.app.post_message(messages.Told(moment.state))
        await on.text()
        now[0] += 86_400
        on.app._tick()
        assert "The machine works." in await on.text()
        on.app.post_message(messages.Asked(wanted))
        await on.text()
        on.app._tick()
        assert "REMOVED" in await on.text()  # what is asked now stands as long as any question
        now[0] += 600
        on.app._tick()
        assert "LOCKED" in await on.text()

    stage(scene)


def test_a_lock_covers_a_dialog_and_forgets_a_pin(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        now = left_alone(on)
        login = next(m for m in film.moments if type(m.wanted).__name__ == "Login")
        await on.play(login)
        await on.pilot.pause(0.1)
        await on.type("kim")
        await on.pilot.press("enter")
        await on.type("hunter2x")
        pin = on.front.query_one("#pin", PinField)
        assert not pin.empty
        await on.pilot.press("f3")
        await on.type("ed")
        now[0] += 601
        on.app._tick()
        text = await on.text()
        assert ("LOCKED" in text, "EXCEPTION" in text, pin.empty) == (True, False, True)
        await on.type("kay")
        await on.pilot.press("f9")
        assert "RECORD AN EXCEPTION" in await on.text()
        locked = await on.reply()
        assert isinstance(locked, Locked)
        assert locked.person == "kay"

    stage(scene)


def test_what_is_done_while_the_machine_works_waits_for_it(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        moment = film.at("ingest.removed")
        assert moment.wanted is not None
        wanted = moment.wanted
        on.app.post_message(messages.Told(moment.state))
        await on.pilot.pause()
        await on.pilot.press("f10")
        await on.type("carol")
        await on.pilot.press("tab")
        await on.type("enough")
        await on.pilot.press("f9")
        assert "The abort is recorded as soon as the machine is done." in await on.text()
        assert on.said.empty()
        on.app.post_message(messages.Asked(wanted))
        assert await on.reply() == Aborted("carol", "enough")

    stage(scene)


def test_a_dialog_stays_when_the_step_goes_on_behind_it(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(film.at("open.roles"))
        await on.pilot.press("f1")
        on.app.post_message(messages.Told(film.at("judge.seen").state))
        await on.pilot.pause()
        assert "HELP: OPEN" in await on.text()
        await on.pilot.press("escape")
        await on.pilot.pause()
        assert type(on.front) is SCREEN_FOR[Step.JUDGE]

    stage(scene)


def test_what_a_closed_ceremony_asks_can_be_left(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    """F10 asked, and then stayed, where a transcript had been closed earlier."""
    ask = Question(
        "close.resume", "internal witness", ("ines",), ("closed earlier",), "Type RESUME",
        Form.CONFIRM, "RESUME",
    )  # fmt: skip

    async def scene(on: Stage) -> None:
        on.app.post_message(messages.Told(film.at_step(Step.CLOSE).state))
        await on.text()
        await on.pilot.press("f10")
        assert "F10 leaves once something is asked." in await on.text()
        on.app.post_message(messages.Asked(ask))
        await on.text()
        await on.pilot.press("f10", "escape", "f10")
        assert "LEAVE THE CLOSED CEREMONY" in await on.text()
        await on.pilot.press("f9")
        await on.pilot.pause()
        with pytest.raises(ScreenGone, match="left before it was confirmed"):
            on.replies.get()

    stage(scene)


def test_after_the_close_nothing_is_recorded_any_more(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(film.at_step(Step.CLOSE))
        await on.pilot.press("f3")
        assert "The transcript is closed; write it on paper." in await on.text()
        await on.pilot.press("f8")
        await on.type("ed")
        await on.pilot.press("f9")
        await on.pilot.pause()
        assert on.said.empty()
        await on.pilot.press("f10")
        assert "LEAVE THE CLOSED CEREMONY" in await on.text()
        await on.pilot.press("f9")
        assert await on.reply() is None

    stage(scene)
