"""`rehearse --auto` stops where an answer mends nothing, and says which rule and what to do.

It went on for rounds: the same refusal, the same word TOKEN, on a log medium that was full.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rehearsing

from tui.rehearsal.prepare import Prepared


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return rehearsing.make(tmp_path_factory.mktemp("unattended") / "rehearsal")


@pytest.fixture
def prepared(made: Prepared, tmp_path: Path) -> Prepared:
    return rehearsing.copy(made, tmp_path / "r")


def held_alone(prepared: Prepared) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("uki-ceremony")
    return subprocess.run(
        [program, "rehearse", prepared.folder, "--auto"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def small_log(prepared: Prepared) -> Iterator[Path]:
    """A log medium of 64 kilobytes: enough for the lines so far, not for what is to come."""
    folder = prepared.logs[1]
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("mount is not installed")
    command = [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def stopped_once(done: subprocess.CompletedProcess[str], prepared: Prepared, rule: str) -> None:
    """Check that it ended at the first refusal, in words, and that nothing was answered to it."""
    assert done.returncode == 3, done.stdout
    assert f"refuse {rule}: " in done.stdout
    assert "       next: " in done.stdout
    assert "Resume with: " in done.stdout
    assert "Traceback" not in done.stdout
    assert not {name for name in rehearsing.names(prepared) if name.endswith("again")}


def test_a_full_log_medium_is_no_round_of_tokens(prepared: Prepared, small_log: Path) -> None:
    stopped_once(held_alone(prepared), prepared, "MED-SPACE")
    assert rehearsing.names(prepared).count("sign.preflight") == 1
    assert (small_log / "transcript.jsonl").is_file()


def test_a_medium_without_the_image_is_read_once(prepared: Prepared) -> None:
    (prepared.media / prepared.image_name).unlink()
    stopped_once(held_alone(prepared), prepared, "MED-IMAGE")
    assert rehearsing.names(prepared).count("ingest.media") == 1


def test_a_wrong_pin_on_the_sheet_spends_one_try(prepared: Prepared) -> None:
    text = prepared.sheet.read_text("utf-8")
    prepared.sheet.write_text(text.replace(f"PIN: {prepared.pin}", "PIN: 000000000"), "utf-8")
    done = held_alone(prepared)
    assert done.returncode == 3, done.stdout
    assert "refuse KEY-PIN-WRONG: " in done.stdout
    assert rehearsing.names(prepared).count("sign.login") == 1
