"""What a key holder must read stands whole on an 80x25 console: nothing hangs below one line.

Turning a page for one line more is where people learn to turn pages without reading them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ceremony.questions import Question
from ceremony.steps import Step
from tui.parts.page import Page

if TYPE_CHECKING:
    from tests.screens.conftest import Film, Scene, Stage


@pytest.mark.parametrize("step", list(Step))
def test_no_steps_help_is_longer_than_its_page(
    step: Step, film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        await on.play(film.at_step(step))
        await on.pilot.press("f1")
        text = await on.text()
        assert on.app.screen.query_one("#facts", Page).at_end, text

    stage(scene)


def test_the_second_try_of_the_words_is_in_view_without_paging(
    misread: Film, stage: Callable[[Scene], None]
) -> None:
    second = [
        moment
        for moment in misread.moments
        if isinstance(moment.wanted, Question) and moment.wanted.name == "read_back.words"
    ][1]

    async def scene(on: Stage) -> None:
        await on.play(second)
        text = await on.text()
        assert "try 2 of 2" in text
        assert on.front.query_one("#facts", Page).at_end, text

    stage(scene)
