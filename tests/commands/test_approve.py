"""approve: what a key holder is shown, what is signed, and that nobody signs by accident."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
import rehearsing
from approvals.holders import plan_of
from commands.test_command_line import Terminal, approve
from marks import accepts, refuses

from ceremony import policy as policies
from ceremony.approval import approved_by
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold


@pytest.fixture
def laid(prepared: Prepared) -> Prepared:
    """Return a rehearsal whose plan lies in its folder."""
    prepared.approvals.mkdir()
    (prepared.approvals / "plan.txt").write_text(plan_of().text)
    return prepared


def run(*words: str | Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-m", "tui", "approve", *map(str, words)]
    return subprocess.run(command, input=typed, capture_output=True, text=True, check=False)


@accepts("APP-SIGNATURE", "APP-PLAN")
def test_a_plan_is_shown_whole_and_signed(laid: Prepared) -> None:
    said = approve(laid).said
    plan = laid.approvals / "plan.txt"
    for line in plan.read_text().splitlines():
        assert line in said
    assert f"ssh-keygen -Y sign -n approval@uki-ceremony -f KEY {plan}" in said
    approval = (laid.approvals / "plan.txt.sig").read_bytes()
    policy = policies.load(laid.policy.read_bytes())
    assert approved_by(policy, plan.read_bytes(), approval) == "kim"
    assert "QR code" in said


def test_who_approved_already_is_told_who_else_is_asked(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, ("[approvals]\nthreshold = 1", "[approvals]\nthreshold = 2"))
    said = io.StringIO()
    instead = {"sign.approve": ("kim", "kim", "kay")}
    hold(rehearsing.places_of(prepared), ScriptFace(prepared.sheet, said, instead))
    assert "kim approved this plan already; another is asked for: kay" in said.getvalue()
    assert rehearsing.names(prepared).count("sign.approve") == 2
    assert "(key holder): PIN typed\n" in said.getvalue()  # the key asks once, at the login


def test_anything_else_signs_nothing(laid: Prepared) -> None:
    assert "nothing was signed" in approve(laid, answer="yes").said
    assert sorted(path.name for path in laid.approvals.iterdir()) == ["plan.txt"]


def test_an_approval_goes_where_it_is_wanted_and_over_nothing(laid: Prepared) -> None:
    output = laid.folder / "kim.sig"
    approve(laid, "--output", output)
    before = output.read_bytes()
    again = Terminal("approve", laid.approvals / "plan.txt", "--key",
                     laid.person_key("kim"), "--output", output)  # fmt: skip
    again.until("MED-OUTPUT")  # before anybody types the word, or touches a key for nothing
    assert again.ended() == 1
    assert "Type APPROVE" not in again.said
    assert "Traceback" not in again.said
    assert output.read_bytes() == before


@refuses("APP-ANSWER")
def test_a_pipe_approves_nothing(laid: Prepared) -> None:
    done = run(laid.approvals / "plan.txt", "--key", laid.person_key("kim"), typed="APPROVE\n")
    assert (done.returncode, "APP-ANSWER" in done.stderr) == (1, True)
    assert not (laid.approvals / "plan.txt.sig").exists()


@refuses("APP-PLAN")
@pytest.mark.parametrize("fault", ["checkpoint", "other-image", "large", "missing", "folder"])
def test_nothing_but_a_plan_is_signed(laid: Prepared, fault: str) -> None:
    """What a machine that lies may bring to be signed: a checkpoint, a plan for other bytes."""
    plan = laid.approvals / "plan.txt"
    texts = {
        "checkpoint": "uki-ceremony/" + "0" * 32 + "/production\n1\nAAAA\n",
        "other-image": plan.read_text().replace("2" * 64, "3" * 64),
        "large": "x" * 2000,
    }
    wanted = {"large": "MED-SIZE", "missing": "MED-PATH", "folder": "MED-SPECIAL"}
    plan.unlink()
    if fault in texts:
        plan.write_text(texts[fault])
    elif fault == "folder":
        plan.mkdir()
    done = run(plan, "--key", laid.person_key("kim"))
    assert done.returncode in (1, 3)
    assert wanted.get(fault, "APP-PLAN") in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
