"""A refused policy names nobody: no face asks for a signature that could never count."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import rehearsing

from ceremony.events import Outcome
from ceremony.steps import Step
from tui.faces import Closing
from tui.guides import NOBODY_SIGNS
from tui.plain import PlainFace
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold

if TYPE_CHECKING:
    from tests.screens.conftest import Film, Scene, Stage

ASKED = ("ssh-keygen", "Path of a signature", "practice key", "witnesses")


def typed(text: str) -> int:
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    return reader


class Closes(ScriptFace):
    """Answers as the script does; at the close the prompts speak, and their help is read."""

    said = ""

    def countersign(self, closing: Closing) -> str | None:
        writer = io.StringIO()
        face = PlainFace(typed(":help\n\n"), writer)
        offered = face.countersign(closing)
        self.said = writer.getvalue()
        return offered


@pytest.mark.parametrize("end", ["changed-after-signing", "no-policy"])
def test_prompts_ask_for_no_signature_after_a_refused_policy(prepared: Prepared, end: str) -> None:
    text = b"# changed\n" if end == "changed-after-signing" else b"= none\n"
    prepared.policy.write_bytes(prepared.policy.read_bytes() + text)
    face = Closes(prepared.sheet, io.StringIO())
    ended = hold(rehearsing.places_of(prepared), face)
    assert (ended.closed.outcome, ended.closed.policy) == (Outcome.REFUSED, None)
    assert NOBODY_SIGNS in face.said
    assert "HELP: " in face.said
    assert [word for word in ASKED if word in face.said.replace("nobody signs", "")] == []
    assert (prepared.out / "SHA256SUMS").is_file()


def test_prompts_ask_for_signatures_where_the_policy_held(prepared: Prepared) -> None:
    face = Closes(prepared.sheet, io.StringIO())
    hold(rehearsing.places_of(prepared), face)
    assert "ssh-keygen -Y sign -n transcript@uki-ceremony -f KEY checkpoint.txt" in face.said
    assert NOBODY_SIGNS not in face.said


def test_the_full_screen_asks_for_no_signature_either(
    film: Film, stage: Callable[[Scene], None]
) -> None:
    moment = film.at_step(Step.CLOSE)
    assert isinstance(moment.wanted, Closing)
    nobody = replace(moment.wanted, outcome=Outcome.REFUSED, needed=0, rehearsal_signers=())

    async def scene(on: Stage) -> None:
        await on.play(replace(moment, wanted=nobody))
        said = await on.text()
        assert "No policy was admitted, so nobody is named whose signature" in said
        assert "Nothing is to be signed; empty: done" in said
        assert "witnesses signed" not in said
        await on.pilot.press("f1")
        helped = await on.text()
        assert "No policy was admitted" in helped
        assert "ssh-keygen" not in said + helped
        await on.pilot.press("escape")
        await on.text()
        await on.pilot.pause(0.1)
        await on.pilot.press("f9")
        assert await on.reply() is None

    stage(scene)
