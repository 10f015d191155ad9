"""The PIN: bytes that are wiped, never a str, never on a screen, never with its length."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ceremony.effects import Login
from ceremony.pin_uses import PinUse
from tui.parts.field import PinField

if TYPE_CHECKING:
    from tests.screens.conftest import Film, Moment, Scene, Stage

PIN = b"osprey-5173"


def login_of(film: Film) -> Moment:
    return next(m for m in film.moments if isinstance(m.wanted, Login))


async def ready(on: Stage, moment: Moment) -> PinField:
    await on.play(moment)
    await on.pilot.pause(0.1)
    await on.type("kay")
    await on.pilot.press("enter")
    return on.front.query_one("#pin", PinField)


def test_the_pin_is_handed_over_as_bytes_and_no_text_of_it_is_left(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        field = await ready(on, login_of(film))
        await on.pilot.press(*("minus" if b == 0x2D else chr(b) for b in PIN))
        assert "********" in await on.text()
        await on.pilot.press("f9")
        assert await on.reply() == ("kay", bytearray(PIN))
        assert not any(field._bytes)
        assert field.empty
        assert copies_of(PIN.decode()) == 0

    stage(scene)


def test_a_pin_typed_where_an_id_belongs_is_not_shown(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    """It stood in plain view beside "Who answers", and F2 showed it as a person's id."""

    async def scene(on: Stage) -> None:
        await on.play(login_of(film))
        await on.pilot.pause(0.1)
        await on.type("5")
        drawn = await on.text()
        assert "Say who answers: kim or kay. Then Tab" in drawn
        assert "Who answers (kim or kay): ____" in drawn
        await on.type("17387")
        assert await on.text() == drawn, "the keys of a PIN can be counted"
        await on.pilot.press("f2")
        assert "517387" not in await on.text()

    stage(scene)


def copies_of(needle: str) -> int:
    """Count the texts that hold `needle` anywhere in the process, this one not counted."""
    found = set()
    for owner in gc.get_objects():
        for value in gc.get_referents(owner):
            # A dict or tuple of plain texts is not tracked by itself: look one level deeper.
            inner = gc.get_referents(value) if isinstance(value, dict | tuple) else ()
            for text in (value, *inner):
                if isinstance(text, str) and needle in text and text is not needle:
                    found.add(id(text))
    return len(found)


def test_the_search_for_copies_finds_one() -> None:
    needle = PIN.decode()
    kept = [{"log": f"typed {needle} just now"}]
    assert copies_of(needle) == 1
    assert kept


def test_one_character_looks_like_eight(film: Film, stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        await ready(on, login_of(film))
        await on.pilot.press("1")
        one = await on.text()
        await on.type("234567890")
        assert await on.text() == one
        await on.pilot.press("backspace")
        assert "*" not in await on.text()
        await on.pilot.press("f9")
        assert "Type the PIN first." in await on.text()
        assert on.said.empty()

    stage(scene)


def test_a_pin_longer_than_any_is_refused_and_wiped(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        field = await ready(on, login_of(film))
        for _ in range(129):
            field.type("7")
        await on.pilot.press("f9")
        assert "That is no PIN: too long." in await on.text()
        assert field.empty
        assert on.said.empty()

    stage(scene)


def test_a_reader_of_its_own_gets_no_pin_from_here(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        moment = login_of(film)
        assert isinstance(moment.wanted, Login)
        protected = replace(moment.wanted, protected_path=True)
        await on.play(replace(moment, wanted=protected))
        await on.pilot.pause(0.1)
        shown = " ".join((await on.text()).replace("│", " ").split())
        assert "Then enter the PIN on the token's own reader." in shown
        assert not on.front.query_one("#pin").display
        await on.type("kim")
        await on.pilot.press("f9")
        assert await on.reply() == ("kim", bytearray())
        assert "Enter the PIN on the token's own reader now." in await on.text()

    stage(scene)


def again(film: Film, use: PinUse) -> Moment:
    moment = login_of(film)
    assert isinstance(moment.wanted, Login)
    return replace(moment, wanted=moment.wanted.before(use, ("kay",), "count-low"))


@pytest.mark.parametrize("use", [PinUse.TEST, PinUse.SIGNATURE], ids=["test", "signature"])
def test_a_later_use_says_which_it_is_and_takes_the_pin_of_the_same_person(
    film: Film, stage: Callable[[Scene], None], use: PinUse
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(again(film, use))
        await on.pilot.pause(0.1)
        shown = " ".join((await on.text()).replace("│", " ").split())
        assert "This key asks for its PIN at every use; no copy is kept." in shown
        assert f"{use.value[0]} of 3: the {use.value[1]}." in shown
        assert "a wrong PIN was typed since the last right one" in shown
        assert "No PIN given cancels" in shown
        assert "kay (key holder) answers:" in shown
        await on.pilot.press(*("minus" if b == 0x2D else chr(b) for b in PIN))
        await on.pilot.press("f9")
        assert await on.reply() == ("kay", bytearray(PIN))

    stage(scene)


def test_no_pin_cancels_at_the_second_f9_with_nothing_typed_in_between(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(again(film, PinUse.TEST))
        await on.pilot.pause(0.1)
        for _ in range(2):
            await on.pilot.press("f9")
            assert "F9 again cancels" in " ".join((await on.text()).split())
            await on.pilot.press("1", "backspace")
            assert "F9 again cancels" not in " ".join((await on.text()).split())
        assert on.said.empty()
        await on.pilot.press("f9", "f9")
        assert await on.reply() == ("kay", bytearray())

    stage(scene)
