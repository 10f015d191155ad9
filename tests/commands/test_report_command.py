"""uki-ceremony report: what it writes, where, and with which exit status."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from marks import accepts, refuses
from reporting import GOLDEN, SPOILED, bundle

from tui.commands.dispatch import dispatch

HAPPY = GOLDEN / "happy" / "bundle"


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@accepts("MED-OUTPUT")
@pytest.mark.parametrize(("option", "begin"), [("--html", b"<!DOCTYPE html>"), ("--text", b"REPR")])
def test_a_file_is_written_whole(
    option: str, begin: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report"
    assert dispatch(["report", str(HAPPY), option, str(target)]) == 0
    assert target.read_bytes().startswith(begin)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert capsys.readouterr().out.startswith("REPRODUCED - REHEARSAL")


def test_without_an_option_the_text_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["report", str(HAPPY)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("REPRODUCED - REHEARSAL - ceremony ")
    assert "evidence: events 1, 43; replay REPRODUCED" in shown


@pytest.mark.parametrize(("option", "begin"), [("--html", "<!DOCTYPE html>"), ("--text", "REPR")])
def test_a_dash_is_standard_output_and_no_file_of_that_name(
    option: str,
    begin: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert dispatch(["report", str(HAPPY), option, "-"]) == 0
    assert capsys.readouterr().out.startswith(begin)
    assert dispatch(["replay", str(HAPPY), "--prove", "3", "--output", "-"]) == 0
    assert "c2sp.org/tlog-proof@v1" in capsys.readouterr().out
    assert dispatch(["policy", "new", "--for", "flashbots", "--output", "-"]) == 0
    assert "policy_id" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["export", "vsa", "B", "--key", "K", "--output", "-"],
        ["export", "sigsum-request", "B", "--key", "K", "--output", "-"],
        ["ledger", "B", "--output", "-"],
        ["approve", "P", "--key", "K", "--output", "-"],
        ["tbs", "I", "--cert", "C", "--output", "-"],
    ],
    ids=("vsa", "sigsum", "ledger", "approve", "tbs"),
)
def test_a_dash_where_a_file_is_written_is_refused(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert dispatch(words) == 2
    assert '"-" is standard output' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("verdict", "status"), [("FORGED", 1), ("DIFFERS", 1), ("INCOMPLETE", 4)])
def test_the_exit_status_is_that_of_replay(
    verdict: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path / "b", SPOILED[verdict](bundle("happy")))
    assert dispatch(["report", str(folder)]) == status
    assert capsys.readouterr().out.startswith(f"{verdict} - REHEARSAL")
    assert dispatch(["report", str(folder), "--html", str(tmp_path / "r.html")]) == status
    assert (tmp_path / "r.html").is_file()


def test_what_is_no_bundle_is_reported_as_differing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(HAPPY / "anchor.efi")
    assert dispatch(["report", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("DIFFERS - UNKNOWN MODE")
    assert "TRN-BUNDLE" in shown


@refuses("MED-OUTPUT")
@pytest.mark.parametrize("there", ["file", "link"])
def test_nothing_is_overwritten(
    there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.html"
    if there == "file":
        target.write_text("kept", "utf-8")
    else:
        target.symlink_to(tmp_path / "elsewhere")
    assert dispatch(["report", str(HAPPY), "--html", str(target)]) == 1
    assert "MED-OUTPUT" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()
    assert there == "link" or target.read_text("utf-8") == "kept"


@refuses("MED-OUTPUT")
def test_a_file_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    monkeypatch.setattr("tui.commands.report._require_new", lambda *_: None)
    target.write_text("kept", "utf-8")
    assert dispatch(["report", str(HAPPY), "--html", str(target)]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert target.read_text("utf-8") == "kept"


@refuses("MED-OUTPUT")
def test_a_report_is_not_put_into_the_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "b"
    shutil.copytree(HAPPY, folder)
    assert dispatch(["report", str(folder), "--html", str(folder / "in" / "r.html")]) == 1
    assert "inside the bundle" in capsys.readouterr().err
    assert dispatch(["replay", str(folder)]) == 0


def test_a_medium_without_links_gets_its_report_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", none)
    assert dispatch(["report", str(HAPPY), "--text", str(tmp_path / "r.txt")]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["r.txt"]


@pytest.mark.parametrize("words", [("--html", "no/such/folder/r.html"), ("--image", "none.efi")])
def test_what_cannot_be_done_is_said(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["report", str(HAPPY), *words]) == 3
    assert "MED-" in capsys.readouterr().err


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["report", "/nonexistent/bundle"]) == 3
    assert "MED-GONE" in capsys.readouterr().err


def test_a_terminal_without_unicode_gets_the_text_as_well() -> None:
    code = (
        "import sys; sys.stdout.reconfigure(encoding='ascii');"
        "from tui.commands.dispatch import dispatch; sys.exit(dispatch(sys.argv[1:]))"
    )
    words = [sys.executable, "-I", "-c", code, "report", str(HAPPY)]
    done = subprocess.run(words, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"QR code of checkpoint.txt" in done.stdout
