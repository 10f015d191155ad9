"""What is said has nowhere to go: a full disk behind standard output, a reader that left.

Python tried once more at its exit, said so in its own words and exited with 120.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import rehearsing
from approvals.holders import plan_of

WORDS = [("--help",), ("inspect", "IMAGE"), ("approve", "PLAN", "--key", "K")]
IDS = [words[0] for words in WORDS]


@pytest.fixture
def words_of(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    image, plan = tmp_path / "anchor.efi", tmp_path / "plan.txt"
    image.write_bytes(rehearsing.tiny_uki())
    plan.write_text(plan_of().text, "ascii")
    places = {"IMAGE": str(image), "PLAN": str(plan), "K": str(tmp_path / "k")}
    return [places.get(word, word) for word in request.param]


def started(words: list[str], stdout: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [Path(sys.executable).with_name("uki-ceremony"), *words],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("words_of", WORDS, ids=IDS, indirect=True)
def test_a_full_disk_behind_standard_output_is_said(words_of: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        _, said = started(words_of, full.fileno()).communicate(timeout=60)
    assert "MED-WRITE: standard output: No space left on device" in said
    assert "Exception" not in said
    assert "BUG" not in said


@pytest.mark.parametrize("words_of", WORDS, ids=IDS, indirect=True)
def test_a_reader_that_left_is_no_exception(words_of: list[str]) -> None:
    process = started(words_of, subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 3
    assert "Exception" not in said
    assert "BUG" not in said
