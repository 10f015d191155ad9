"""What is said before and after a ceremony: mount first, and the command that goes on."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from marks import accepts, refuses

from tui.commands.dispatch import dispatch
from tui.commands.holding import NAME, again


def words(folder: Path, log: str = "a", out: str = "out") -> list[str]:
    more = ["--policy", str(folder / "policy.toml"), "--in", str(folder), "--plain"]
    logs = ["--log", str(folder / log), "--log", str(folder / "b"), "--out", str(folder / out)]
    return ["run", *more, *logs]


@refuses("MED-MOUNT")
@pytest.mark.parametrize(("log", "out"), [("LOG-A/today", "out"), ("a", "OUT/today")])
def test_no_folder_is_made_where_no_medium_is_mounted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: str, out: str
) -> None:
    assert dispatch(words(tmp_path, log, out)) == 1
    told = capsys.readouterr().err
    assert ("MED-MOUNT" in told, "Mount the medium first" in told) == (True, True)
    assert list(tmp_path.iterdir()) == []


@accepts("MED-MOUNT")
def test_the_folder_itself_is_made_on_a_medium(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "machine.toml").write_text("", "utf-8")
    dispatch([*words(tmp_path), "--machine", str(tmp_path / "machine.toml")])
    assert "MED-MOUNT" not in capsys.readouterr().err


def test_the_command_that_goes_on_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--version"])
    for path in (os.defpath, str(Path(sys.executable).parent)):
        monkeypatch.setenv("PATH", path)
        line = again().removeprefix("Resume with: ")
        named = line.startswith(f"{NAME} ")
        found = shutil.which(NAME)
        assert named is (found is not None and Path(found).parent == Path(sys.executable).parent)
        done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.startswith(NAME)) == (0, True), done.stderr
