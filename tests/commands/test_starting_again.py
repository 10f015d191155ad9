"""What is said before and after a ceremony: mount first, and the command that goes on."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands.builder_desk import process
from marks import accepts, refuses

from tui.commands.dispatch import dispatch
from tui.commands.holding import NAME, again
from tui.rehearsal.prepare import Prepared


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


@refuses("MED-WRITE")
@pytest.mark.parametrize("stood", [True, False], ids=["empty", "new"])
def test_a_rehearsal_that_could_not_be_laid_out_begins_anew(tmp_path: Path, *, stood: bool) -> None:
    """The folder was left half full on a full disk, and refused (MED-OUTPUT) ever after."""
    folder = tmp_path / "r"
    if stood:
        folder.mkdir()
    rehearse = ("rehearse", folder, "--prepare-only")
    full = process(*rehearse, limit=8, env=dict(os.environ))
    assert (full.status, "MED-WRITE" in full.err) == (3, True), full.err
    assert [*tmp_path.rglob("*")] == ([folder] if stood else [])
    assert process(*rehearse, env=dict(os.environ)).status == 0


@refuses("MED-OUTPUT")
def test_a_prepared_folder_takes_no_other_image(
    prepared: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--image was passed over in silence where the folder was prepared with another one."""
    kept = prepared.media / "anchor.efi"
    other = tmp_path / "anchor.efi"
    other.write_bytes(kept.read_bytes() + bytes(8))
    words = ["rehearse", str(prepared.folder), "--prepare-only", "--image"]
    assert dispatch([*words, str(kept)]) == 0
    assert dispatch([*words, str(other)]) == 3
    told = capsys.readouterr().err
    assert ("MED-OUTPUT" in told, "without --image it goes on" in told) == (True, True)
