"""What a person types reaches the ceremony: once, whole, by F9, and never by Enter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from ceremony.ports import Progress
from ceremony.questions import Answer, Form, Question
from ceremony.states import Open
from ceremony.types import Finding, Mode, Severity
from tui.console import Blocks
from tui.parts import messages
from tui.parts.asking import Asking
from tui.parts.field import Field
from tui.parts.page import Page
from tui.parts.replies import Replies
from tui.screen_face import ScreenFace

if TYPE_CHECKING:
    from tests.screens.conftest import Film, Scene, Stage

YES = Question("open.test", "witness", ("ines",), ("A fact.",), "Type YES", Form.CONFIRM, "YES")
WHY = Question("open.why", "operator", ("kim", "kay"), ("A fact.",), "Why", Form.REASON)
LONG = Question(
    "open.long", "witness", ("ines",), tuple(f"Line {n}" for n in range(40)), "Type YES",
    Form.CONFIRM, "YES",
)  # fmt: skip


def ask(on: Stage, question: Question) -> None:
    on.app.post_message(messages.Asked(question))


def test_f9_submits_and_enter_does_not(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        ask(on, YES)
        await on.pilot.pause()
        await on.type("YES")
        await on.pilot.press("enter")
        assert "Enter does not confirm. F9 goes on." in await on.text()
        assert on.said.empty()
        await on.pilot.press("f9", "f9", "f9")
        assert await on.reply() == Answer("ines", "YES")
        await on.pilot.pause()
        assert on.said.empty()

    stage(scene)


def test_an_empty_answer_is_not_sent(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        ask(on, YES)
        await on.pilot.pause()
        await on.pilot.press("f9")
        assert "Type the answer first." in await on.text()
        assert on.said.empty()

    stage(scene)


def test_of_several_persons_one_must_say_who_answers(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        ask(on, WHY)
        await on.pilot.pause()
        assert on.app.focused is on.front.query_one("#person")
        await on.pilot.press("tab")
        await on.type("because of it")
        await on.pilot.press("f9")
        assert "Say who answers: kim or kay." in await on.text()
        await on.type("kay")
        await on.pilot.press("f9")
        assert await on.reply() == Answer("kay", "because of it")

    stage(scene)


def test_a_refused_answer_says_rule_text_and_what_next(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        ask(on, WHY)
        await on.pilot.pause()
        await on.type("kay")
        await on.pilot.press("enter")
        await on.type("no reason")
        await on.pilot.press("f9")
        await on.reply()
        finding = Finding("APP-PERSON", Severity.REFUSE, "this is for kim or kay (operator)")
        on.app.post_message(messages.Faulted((finding,)))
        ask(on, WHY)
        await on.pilot.pause()
        text = await on.text()
        assert "x APP-PERSON: this is for kim or kay (operator)" in text
        assert "must hold: " in text
        assert "next: " in text
        assert on.front.query_one("#person", Field).text == ""
        assert on.front.query_one("#answer", Field).text == "no reason"
        await on.type("kim")
        await on.pilot.press("f9")
        assert await on.reply() == Answer("kim", "no reason")
        await on.pilot.pause()
        assert "APP-PERSON" not in await on.text()

    stage(scene)


def test_a_wrong_word_is_typed_anew(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        for _ in range(2):
            ask(on, YES)
            await on.pilot.pause()
            assert on.front.query_one("#answer", Field).text == ""
            await on.type("yes")
            await on.pilot.press("f9")
            assert await on.reply() == Answer("ines", "yes")

    stage(scene)


def test_what_is_shown_must_have_been_in_view(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        ask(on, LONG)
        await on.pilot.pause()
        assert "PageDown: 27 more lines" in await on.text()
        await on.type("YES")
        await on.pilot.press("f9")
        assert "There is more to read first: PageDown." in await on.text()
        assert on.said.empty()
        await on.pilot.press("pagedown", "pagedown", "pagedown", "pagedown")
        assert on.front.query_one("#facts", Page).read
        assert "Line 39" in await on.text()
        await on.pilot.press("pageup", "f9")
        assert await on.reply() == Answer("ines", "YES")

    stage(scene)


def test_what_was_read_whole_is_not_read_again_after_a_refused_answer(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    lines = tuple(f"Line {n}" for n in range(12))
    question = Question("ingest.x", "witness", ("ines",), lines, "Why", Form.REASON)

    async def scene(on: Stage) -> None:
        on.app.post_message(messages.Told(film.at("ingest.removed").state))
        await on.text()
        ask(on, question)
        await on.text()
        await on.type("no")
        await on.pilot.press("f9")
        assert await on.reply() == Answer("ines", "no")
        on.app.post_message(messages.Told(film.at("ingest.removed").state))
        finding = Finding("APP-PERSON", Severity.REFUSE, "this is for kim or kay (operator)")
        on.app.post_message(messages.Faulted((finding,)))
        ask(on, question)
        assert "more lines" in await on.text()
        await on.type(" more")
        await on.pilot.press("f9")
        assert await on.reply() == Answer("ines", "no more")
        ask(on, LONG)
        await on.text()
        await on.type("YES")
        await on.pilot.press("f9")
        assert "There is more to read first: PageDown." in await on.text()
        assert on.said.empty()
        await on.pilot.press("pagedown")
        assert "There is more to read first" not in await on.text()

    stage(scene)


def test_what_only_fitted_before_the_fields_came_was_not_in_view(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    async def scene(on: Stage) -> None:
        on.app.post_message(messages.Told(film.at("ingest.removed").state))
        busy = await on.text()
        assert "The machine works." in busy
        for rows in (13, 14, 16):
            lines = tuple(f"Line {n}" for n in range(rows))
            ask(on, Question("ingest.x", "witness", ("ines",), lines, "Why", Form.REASON))
            await on.text()
            assert on.front.page.read is (rows == 13)
            on.app.post_message(messages.Told(film.at("ingest.removed").state))
            await on.text()

    stage(scene)


def test_a_dangerous_answer_is_live_only_a_while_after_it_was_shown(
    film: Film, stage: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_early(on: Stage) -> None:
        monkeypatch.setattr("tui.parts.asking.ARM_SECONDS", 3600)
        await on.play(film.at("sign.approve"))
        assert "Keys are live one second after all of this was shown." in await on.text()
        await on.type("a.sig")
        await on.pilot.press("enter", "f9")
        assert on.front.query_one("#answer", Field).text == ""
        assert on.said.empty()

    async def then(on: Stage) -> None:
        monkeypatch.setattr("tui.parts.asking.ARM_SECONDS", 0.05)
        await on.play(film.at("sign.approve"))
        while not on.front.query_one(Asking).live:
            await on.pilot.pause(0.05)
        await on.pilot.press("f9")
        assert "Type the path of a signature file" in await on.text()
        await on.type("/media/a.sig")
        await on.pilot.press("f9")
        assert await on.reply() == Answer("kim", "/media/a.sig")

    stage(too_early)
    stage(then)


def test_editing_keys(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        ask(on, WHY)
        await on.pilot.pause()
        await on.pilot.press("tab")
        await on.type("abd")
        await on.pilot.press("left", "c", "home", "delete", "end", "e", "backspace")
        assert on.front.query_one("#answer", Field).text == "bcd"
        await on.pilot.press("ctrl+u")
        assert on.front.query_one("#answer", Field).text == ""
        await on.type("é€")
        assert on.front.query_one("#answer", Field).text == "é"
        assert "cannot be shown on the console" in await on.text()

    stage(scene)


def test_the_terminals_cursor_follows_the_field(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        ask(on, WHY)
        await on.pilot.pause()
        for field, typed in (("#person", "kim"), ("#answer", "x" * 70)):
            await on.type(typed)
            await on.pilot.pause()
            region = on.front.query_one(field).content_region
            row, column = divmod(len(typed), region.width)
            assert on.app.cursor_position == (region.x + column, region.y + row)
            await on.pilot.press("tab")

    stage(scene)


def test_markup_from_outside_is_text(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        hostile = "[red]x[/red] [@click=app.quit]y[/] \x1b[2J \u202e\u2588\u4e2d"
        question = Question("open.test", "witness", ("ines",), (hostile,), "Type YES",
                            Form.CONFIRM, "YES")  # fmt: skip
        ask(on, question)
        await on.pilot.pause()
        assert r"[red]x[/red] [@click=app.quit]y[/] \x1b[2J \u202e█\u4e2d" in await on.text()

    stage(scene)


def test_progress_is_counted_in_words_and_a_bar(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        on.app.post_message(
            messages.Moved(Progress("hashing anchor.efi", 10**7, 4 * 10**7, "bytes"))
        )
        await on.pilot.pause()
        assert "hashing anchor.efi: 10,000,000 of 40,000,000 bytes" in await on.text()
        assert "[##########..............................]  25 %" in await on.text()

    stage(scene)


def test_progress_is_drawn_at_most_ten_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[object] = []
    seconds = (number / 10_000 for number in count())
    monkeypatch.setattr("tui.screen_face.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    face = ScreenFace(posted.append, Replies(), (0, 0), Blocks.CELLS)
    face.begin(Mode.REHEARSAL)
    for done in range(10_001):
        face.tell(Progress("hashing", done, 10_000, "MiB"))
    face.tell(Open())
    moved = [m for m in posted if isinstance(m, messages.Moved)]
    assert 9 <= len(moved) <= 11, "in one second"
    assert moved[-1].progress.done == 10_000
    assert isinstance(posted[-1], messages.Told)


def test_a_window_that_became_too_small_says_so(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        await on.pilot.resize_terminal(64, 24)
        await on.pilot.pause()
        assert "The ceremony needs 80 columns and 25 rows." in await on.text()
        await on.pilot.resize_terminal(80, 25)
        await on.pilot.pause()
        assert "1 Open" in await on.text()

    stage(scene)


def test_nothing_is_confirmed_in_a_window_that_hides_the_question(
    stage: Callable[[Scene], None],
) -> None:
    """F9 sent what had been typed although the screen said only that it was too small."""

    async def scene(on: Stage) -> None:
        ask(on, YES)
        await on.pilot.pause()
        await on.type("YES")
        await on.pilot.resize_terminal(79, 24)
        await on.pilot.press("f9", "x")
        await on.pilot.pause()
        assert on.said.empty()
        await on.pilot.resize_terminal(80, 25)
        await on.pilot.pause()
        assert on.app.focused is on.front.query_one("#answer"), "the cursor is where it was"
        await on.pilot.press("f9")
        assert await on.reply() == Answer("ines", "YES")

    stage(scene)


def test_an_answer_typed_where_an_id_belongs_is_not_taken(stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        ask(on, WHY)
        await on.pilot.pause()
        await on.type("no")
        assert on.front.query_one("#person", Field).text == ""
        assert "Say who answers: kim or kay. Then Tab" in await on.text()
        await on.type("kimono")
        assert on.front.query_one("#person", Field).text == "kim"

    stage(scene)
