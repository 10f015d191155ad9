"""A policy that keeps a ledger: its head is confirmed, and each ceremony adds a line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import rehearsing

from ceremony import ledger
from ceremony.events import Ack, Outcome
from tui.rehearsal.prepare import Prepared

SECONDS = 120


def keep_a_ledger(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, ("[quorum]\n", "[ledger]\n\n[quorum]\n"))


def append(prepared: Prepared, output: Path, *words: str | Path) -> tuple[int, str]:
    command: list[str | Path] = [
        sys.executable,
        "-I",
        "-m",
        "tui",
        "ledger",
        prepared.out,
        "--output",
        output,
    ]
    done = subprocess.run(
        [*command, *words], capture_output=True, text=True, check=False, timeout=SECONDS, cwd="/"
    )
    assert "BUG" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def confirmations(prepared: Prepared) -> list[Ack]:
    found = (e for e in rehearsing.events(prepared) if e.name == "judge.ledger")
    return [event for event in found if isinstance(event, Ack)]


@pytest.fixture
def again(prepared: Prepared, tmp_path: Path) -> Prepared:
    """Return a second rehearsal under the same policy, not yet held."""
    keep_a_ledger(prepared)
    return rehearsing.copy(prepared, tmp_path / "again")


def test_without_a_ledger_two_people_confirm_that_there_is_none(
    prepared: Prepared, again: Prepared
) -> None:
    assert rehearsing.held(prepared).released
    acks = confirmations(prepared)
    assert [ack.role for ack in acks] == ["internal witness", "external witness"]
    assert len({ack.person for ack in acks}) == 2
    assert any("first ceremony" in line for line in acks[0].shown), acks[0].shown
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_a_finished_ceremony_becomes_the_next_ones_ledger(
    prepared: Prepared, again: Prepared, tmp_path: Path
) -> None:
    assert rehearsing.held(prepared).released
    status, said = append(prepared, tmp_path / "ledger.jsonl")
    assert status == 0, said
    data = (tmp_path / "ledger.jsonl").read_bytes()
    (entry,) = ledger.parse(data).entries
    assert (entry.sha256, entry.ended) == (prepared.image_sha256, "signed")
    assert entry.head == rehearsing.replayed(prepared).head.root.hex()
    head = ledger.parse(data).head
    assert head[:8] in said

    (again.media / "ledger.jsonl").write_bytes(data)
    ended = rehearsing.held(again)
    shown = confirmations(again)[0].shown
    assert any(head[:8] in line for line in shown)
    assert ended.closed.outcome is Outcome.OK, ended.closed.why
    assert rehearsing.replayed(again).verdict == "REPRODUCED"
    status, said = append(again, tmp_path / "second.jsonl", "--ledger", tmp_path / "ledger.jsonl")
    assert status == 0, said
    second = (tmp_path / "second.jsonl").read_bytes()
    assert second.startswith(data)
    assert len(ledger.parse(second).entries) == 2


def test_a_ledger_that_cannot_be_read_is_told_to_those_who_confirm(
    prepared: Prepared, again: Prepared, tmp_path: Path
) -> None:
    assert rehearsing.held(prepared).released
    append(prepared, tmp_path / "ledger.jsonl")
    data = (tmp_path / "ledger.jsonl").read_bytes()
    (again.media / "ledger.jsonl").write_bytes(data[:-1])  # its last newline is gone
    rehearsing.held(again)
    shown = confirmations(again)[0].shown
    assert any("QRM-LEDGER" in line and "newline" in line for line in shown), shown


def test_a_ledger_is_never_written_over_or_from_a_bundle_that_differs(
    prepared: Prepared, again: Prepared, tmp_path: Path
) -> None:
    assert rehearsing.held(prepared).released
    (tmp_path / "there").write_bytes(b"")
    assert append(prepared, tmp_path / "there")[0] == 1
    log = prepared.out / "transcript.jsonl"
    log.write_bytes(log.read_bytes().replace(b"COUNTED", b"counted", 1))
    status, said = append(prepared, tmp_path / "ledger.jsonl")
    assert (status, "TRN-DECISION" in said) == (1, True)
    assert not (tmp_path / "ledger.jsonl").exists()


def test_a_line_follows_the_ledger_that_was_confirmed_and_stands_once(
    prepared: Prepared, again: Prepared, tmp_path: Path
) -> None:
    assert rehearsing.held(prepared).released
    assert append(prepared, tmp_path / "one")[0] == 0
    status, said = append(prepared, tmp_path / "twice", "--ledger", tmp_path / "one")
    assert (status, "QRM-LEDGER" in said) == (1, True)
    (again.media / "ledger.jsonl").write_bytes((tmp_path / "one").read_bytes())
    assert rehearsing.held(again).released
    status, said = append(again, tmp_path / "fresh")  # without the ledger that was confirmed
    assert (status, "QRM-LEDGER-FORK" in said) == (1, True)
    assert not (tmp_path / "fresh").exists()
