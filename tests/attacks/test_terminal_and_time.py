"""What is typed and shown, and when: commands are no PINs, escapes are no text, time is checked."""

from __future__ import annotations

import io
import os
from dataclasses import replace

import pytest
import rehearsing
from marks import refuses

from ceremony.effects import Login
from ceremony.engine.inspect import LINE, meaning_lines
from ceremony.events import Aborted, Outcome
from ceremony.ingest.world import LinuxWorld
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.questions import Form, Question
from ceremony.show import printable
from tui.plain import PlainFace
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold


def typed(text: str) -> int:
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    return reader


LOGIN = Login(("kim",), ("look",), "final-try", protected_path=False)


def test_a_command_at_the_pin_prompt_is_never_sent_as_a_pin() -> None:
    face = PlainFace(typed(":abort\n\nthe wrong key\n"), io.StringIO())
    assert face.pin(LOGIN) == Aborted("kim", "the wrong key")
    face = PlainFace(typed(":abort\nkay\n\n1234\n"), io.StringIO())
    assert face.pin(LOGIN) == ("kim", bytearray(b"1234")), "an abort without a reason is none"
    face = PlainFace(typed(":help\n1234\n"), io.StringIO())
    assert face.pin(LOGIN) == ("kim", bytearray(b"1234"))


def test_a_pin_longer_than_any_is_not_cut_and_sent() -> None:
    """What is cut is another PIN: the token would count a try for it."""
    said = io.StringIO()
    face = PlainFace(typed("7" * 129 + "\n" + "8" * 128 + "\n"), said)
    assert face.pin(LOGIN) == ("kim", bytearray(b"8" * 128))
    assert "That is no PIN: too long." in said.getvalue()
    assert "7" not in said.getvalue()


def test_escapes_from_a_log_or_a_medium_never_reach_the_terminal() -> None:
    said = io.StringIO()
    shown = ("\x1b[2J\x1b]0;title\x07", "\u202etxet\u2066", "\x9b31m")
    question = Question("ingest.again", "witness", ("ines",), shown, "Type", Form.REASON)
    PlainFace(typed("because\n"), said).answer(question)
    assert all(c.isprintable() or c == "\n" for c in said.getvalue())
    assert printable("plain ä √\n") == "plain ä √\n"


@refuses("POL-WINDOW", "KEY-CERT-DATES")
def test_a_clock_that_jumped_past_the_policy_signs_nothing(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = LinuxWorld.wall

    class Jumps(ScriptFace):
        def recorded(self, event: object, head: object) -> None:
            name = getattr(event, "name", "")
            if name == "sign.preflight" and "sign.again" not in self._asked:
                monkeypatch.setattr(LinuxWorld, "wall", lambda _self: "2049-06-01T00:00:00Z")
            if name == "sign.plan":
                monkeypatch.setattr(LinuxWorld, "wall", whole)

    face = Jumps(prepared.sheet, io.StringIO())
    assert hold(rehearsing.places_of(prepared), face).released
    plans = rehearsing.decisions(prepared, "sign.plan")
    assert [p.outcome for p in plans] == [Outcome.REFUSED, Outcome.OK]
    assert {"POL-WINDOW", "KEY-CERT-DATES"} <= {f.rule for f in plans[0].findings}


def test_the_command_line_is_shown_whole(finished: Prepared) -> None:
    facts = inspect((finished.out / "anchor.efi").read_bytes(), OPEN_GATES)
    words = " ".join(f"option{number}=x" for number in range(300))
    long = replace(facts, meaning=replace(facts.meaning, command_line=words))
    shown = "".join(line[10 : 10 + LINE] for line in meaning_lines(long))
    assert words in shown
