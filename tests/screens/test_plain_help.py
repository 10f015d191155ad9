"""The prompts' :help says of every step what F1 says on the full screen, in their own words."""

from __future__ import annotations

import io
import os
import re
import select
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ceremony.effects import Login
from ceremony.questions import Answer, Form, Question
from ceremony.steps import Step
from ceremony.types import Finding, Mode, Severity
from tui.faces import Closing
from tui.guides import GUIDES, PROMPTS, SCREEN
from tui.plain import PlainFace

if TYPE_CHECKING:
    from tests.screens.conftest import Film

ASK = Question("open.test", "witness", ("ines",), ("A fact.",), "Type YES", Form.CONFIRM, "YES")


def typed(text: str) -> int:
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    return reader


def words(text: str) -> str:
    """Return the text without its line breaks and indents."""
    return " ".join(text.split())


@pytest.mark.parametrize("step", list(Step))
def test_help_is_the_steps_page(step: Step, film: Film) -> None:
    said = io.StringIO()
    face = PlainFace(typed(":help\nYES\n"), said)
    face.tell(film.at_step(step).state)
    assert face.answer(ASK) == Answer("ines", "YES")
    page = GUIDES[step].said(PROMPTS)
    text = words(said.getvalue())
    assert f"HELP: {step.number} of 10, {step.heading}" in text
    for line in (page.what, *page.do, *(f"If {case}: {then}" for case, then in page.cases)):
        assert words(line) in text
    assert not re.search(r"\bF\d|PageDown", text), "keys that prompts do not have"
    assert max(map(len, said.getvalue().splitlines())) <= 80


@pytest.mark.parametrize("step", list(Step))
def test_both_faces_have_a_word_for_every_act(step: Step) -> None:
    for keys in (SCREEN, PROMPTS):
        page = GUIDES[step].said(keys)
        assert "{" not in "".join((*page.do, *(then for _, then in page.cases)))


def test_a_terminal_gets_whole_words_and_whole_head_words(film: Film) -> None:
    long = "warn   AIR-NETWORK: this machine has eth0 (up, hardware), ifb0 (down), ifb1 (down)"
    master, slave = os.openpty()
    with os.fdopen(master, "rb", 0) as shown, os.fdopen(slave, "w", encoding="utf-8") as screen:
        face = PlainFace(typed("YES\n"), screen)
        face.begin(Mode.PRODUCTION)
        moment = film.at_step(Step.CLOSE)
        entry = moment.entries[-1]
        face.recorded(entry.event, entry.head)
        asked = "Type YES where the prompt is one of those that takes more than a row"
        face.answer(replace(ASK, shown=(long,), prompt=asked))
        data = b""  # a terminal hands over in pieces, and late on a busy machine
        while b"a row: " not in data and select.select([shown], [], [], 30)[0]:
            data += shown.read(65536)
        said = data.decode().replace("\r\n", "\n")
    rows = said.splitlines()
    assert max(map(len, rows)) < 80
    assert rows[-1] == "  a row: ", "a prompt breaks between words, too"
    assert f"         {entry.head.spoken}" in rows
    assert [row for row in rows if "AIR-NETWORK" in row or "(down)" in row] == [
        "  warn   AIR-NETWORK: this machine has eth0 (up, hardware), ifb0 (down), ifb1",
        "    (down)",
    ]


def test_a_mistyped_command_is_no_answer() -> None:
    """Where a reason is asked for it would have been recorded as the reason."""
    said = io.StringIO()
    face = PlainFace(typed(":abrot\n:Abort\nit was announced\n"), said)
    why = replace(ASK, form=Form.REASON, word="")
    assert face.answer(why) == Answer("ines", "it was announced")
    assert said.getvalue().count("That is no command.") == 2


def test_a_pin_typed_where_an_id_belongs_is_nobodys_name(film: Film) -> None:
    """It was asked for again, in plain view, as the PIN of the person of that name."""
    login = next(m.wanted for m in film.moments if isinstance(m.wanted, Login))
    said = io.StringIO()
    face = PlainFace(typed("517387\nkim\n517387\n"), said)
    assert face.pin(login) == ("kim", bytearray(b"517387"))
    assert "Type an id first: kim or kay." in said.getvalue()
    assert "517387" not in said.getvalue()


def test_at_the_close_commands_are_no_paths(film: Film) -> None:
    closing = film.at_step(Step.CLOSE).wanted
    assert isinstance(closing, Closing)
    said = io.StringIO()
    face = PlainFace(typed(":help\n:abort\n:exception\nines\n"), said)
    face.tell(film.at_step(Step.CLOSE).state)
    assert face.countersign(closing) == "ines"
    assert "an empty line leaves" in said.getvalue()
    assert said.getvalue().count("nothing is recorded in it any more") == 2


def test_what_is_refused_at_the_close_stays_in_view(film: Film) -> None:
    """The checkpoint was printed again, and pushed the refusal off a console of 25 rows."""
    closing = film.at_step(Step.CLOSE).wanted
    assert isinstance(closing, Closing)
    said = io.StringIO()
    face = PlainFace(typed("/nowhere\nines\n"), said)
    assert face.countersign(closing) == "/nowhere"
    face.tell((Finding("MED-PATH", Severity.REFUSE, "/nowhere: No such file or directory"),))
    assert face.countersign(replace(closing, signed=("ed",))) == "ines"
    assert said.getvalue().count("The transcript is closed") == 1
    after = said.getvalue().partition("MED-PATH")[2].splitlines()
    assert any("Countersigned by ed" in row for row in after)
    assert len(after) < 12


def test_prompts_need_no_textual() -> None:
    code = "import sys; import tui.plain; sys.exit('textual' in sys.modules)"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, check=False)
    assert done.returncode == 0
