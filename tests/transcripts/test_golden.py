"""Every published example is replayed in every run, and says what it said when it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceremony.ingest.reading import read_folder
from transcripts.replay import make_sums, replay

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


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_image_an_old_transcript_comes_to_the_same_end(kind: str) -> None:
    files = read_folder(GOLDEN / kind / "bundle")
    whole = replay(files)
    files.pop("SHA256SUMS")
    taken = files.pop("anchor.efi", None)
    found = replay({**files, "SHA256SUMS": make_sums(files)})
    assert (found.outcome, found.witnesses, found.head) == (
        (whole.outcome, whole.witnesses, whole.head)
    )
    assert found.verdict == ("INCOMPLETE" if taken else whole.verdict)
    assert found.first is None


def test_the_kinds_that_must_be_there() -> None:
    wanted = {"happy", "aarch64", "production", "dissent", "ecdsa", "misheard", "chained"}
    wanted |= {"refused_quorum", "refused_policy", "aborted", "disputed", "resumed"}
    assert wanted <= set(KINDS)


def test_ecdsa_with_two_attempts_says_that_two_signatures_may_exist() -> None:
    found = replay(read_folder(GOLDEN / "ecdsa" / "bundle"))
    said = "2, of one plan; up to 2 different signatures may exist"
    assert dict(found.anchors)["attempts"] == said


def test_a_production_bundle_and_a_rehearsal_do_not_pass_for_each_other() -> None:
    bundles = {kind: read_folder(GOLDEN / kind / "bundle") for kind in ("happy", "production")}
    modes = [replay(bundle).mode for bundle in bundles.values()]
    assert modes == ["rehearsal", "production"]
    for name in ("checkpoint.txt", "transcript.jsonl", "checkpoint.ed.sshsig"):
        mixed = {**bundles["happy"], name: bundles["production"][name]}
        assert replay(mixed).verdict == "FORGED"
