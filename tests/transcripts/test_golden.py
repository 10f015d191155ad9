"""Every published example is replayed in every run, and says what it said when it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceremony.ingest.reading import read_folder
from transcripts.replay import replay

GOLDEN = Path(__file__).resolve().parents[2] / "transcripts" / "golden"
KINDS = sorted(path.name for path in GOLDEN.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_transcript_replays(kind: str) -> None:
    lines = (GOLDEN / kind / "expect.txt").read_text("utf-8").splitlines()
    expect = dict(line.split(": ", 1) for line in lines if ": " in line)
    found = replay(read_folder(GOLDEN / kind / "bundle"))
    assert (str(found.verdict), found.outcome) == (expect["verdict"], expect["outcome"])
    assert (str(found.events), " ".join(found.witnesses)) == (
        expect["events"],
        expect.get("witnesses", ""),
    )
    assert found.head is not None
    assert found.head.spoken == expect["head"]


def test_the_kinds_that_must_be_there() -> None:
    assert {"happy", "refused_quorum", "aborted", "disputed", "resumed"} <= set(KINDS)
