"""kill -9 with a PKCS#11 token, at every line of Sign and Verify, in four places each.

The process is a real one and dies by SIGKILL; this one then resumes from what is on the
disk, holds the ceremony to its end and replays the bundle. All other lines, and all other
operations, are in tests/durability, with the embedded key.
"""

from __future__ import annotations

import pytest
import rehearsing
from killing import run_and_die
from marks import accepts

from ceremony.events import Event, Intended, Recovered, Signed
from ceremony.ingest.reading import read_folder as read_bundle
from transcripts.log import read_log
from transcripts.replay import Verdict, replay
from tui.rehearsal.prepare import Prepared

LINES = 43  # of a ceremony without incident
WHERE = ("before", "between", "torn", "after")


@accepts("TRN-WRITE", "TRN-CLOSE", "MED-RESUME", "TRN-FORK")
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("at", [1, *range(21, 38), LINES])
def test_killed_at_every_line_it_resumes_and_reproduces(
    prepared: Prepared, at: int, where: str
) -> None:
    run_and_die(prepared, where, str(at))
    before = [read_log((log / "transcript.jsonl").read_bytes()) for log in prepared.logs]
    ended = rehearsing.held(prepared)
    assert ended.released
    found = replay(read_bundle(prepared.out))
    assert (found.verdict, found.findings) == (Verdict.REPRODUCED, ())
    lines = read_log((prepared.out / "transcript.jsonl").read_bytes()).lines
    events = [line.event for line in lines]
    whole = max((log.lines for log in before), key=len)
    assert lines[: len(whole)] == whole, "a line that was durable was lost"
    assert any(isinstance(event, Recovered) for event in events) == (0 < len(whole) < LINES)
    _no_signature_unrecorded(events)


def _no_signature_unrecorded(events: list[Event]) -> None:
    """Every intent has its result, or the next attempt says that its outcome is unknown."""
    intents = [e.attempt for e in events if isinstance(e, Intended)]
    results = [e.attempt for e in events if isinstance(e, Signed)]
    unknown = sum(e.name == "sign.unknown" for e in events)
    assert intents == list(range(1, len(intents) + 1))
    assert len(intents) == len(results) + unknown
    signatures = {e.result.signature for e in events if isinstance(e, Signed)}
    assert len(signatures) == 1, "two different signatures for one plan"


def test_a_torn_line_is_kept_as_evidence(prepared: Prepared) -> None:
    run_and_die(prepared, "torn", "20")
    rehearsing.held(prepared)
    (torn,) = prepared.logs[1].glob("transcript.jsonl.torn-*")
    lines = read_log((prepared.out / "transcript.jsonl").read_bytes()).lines
    (recovered,) = [line.event for line in lines if isinstance(line.event, Recovered)]
    assert recovered.torn[0].startswith(f"log-b: {torn.stat().st_size} bytes, sha256 ")
    assert recovered.repaired == ("log-b: 1 lines",)


def test_killed_while_outputs_are_written_nothing_half_written_stays(prepared: Prepared) -> None:
    run_and_die(prepared, "writing", "")
    assert not [p for p in prepared.out.rglob("*") if p.is_file()]
    assert rehearsing.held(prepared).released
    assert replay(read_bundle(prepared.out)).verdict is Verdict.REPRODUCED


@pytest.mark.parametrize(
    "file", ["transcript.jsonl", "checkpoint.txt", "checkpoint.ines.sshsig", "SHA256SUMS"]
)
def test_killed_while_publishing_it_publishes_again(prepared: Prepared, file: str) -> None:
    run_and_die(prepared, "publishing", file)
    assert not (prepared.out / "SHA256SUMS").exists()
    assert rehearsing.held(prepared).released
    assert replay(read_bundle(prepared.out)).verdict is Verdict.REPRODUCED
