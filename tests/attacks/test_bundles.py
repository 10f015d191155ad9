"""Who holds the output medium or a finished bundle gains nothing by it."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import rehearsing
from marks import refuses

from ceremony.errors import Refused
from ceremony.events import Decided, Outcome, SecondOpinion
from ceremony.ingest.reading import read_folder
from ceremony.ingest.world import LinuxWorld
from transcripts.replay import make_sums, replay
from tui.faces import Closing
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold


def resummed(files: dict[str, bytes]) -> dict[str, bytes]:
    rest = {name: data for name, data in files.items() if name != "SHA256SUMS"}
    return {**rest, "SHA256SUMS": make_sums(rest)}


@refuses("TRN-IMAGE")
@pytest.mark.parametrize("name", ["anchor.signed.efi", "anchor.p7", "policy.toml"])
def test_an_output_exchanged_before_the_seal_is_never_sealed(prepared: Prepared, name: str) -> None:
    class Exchanges(ScriptFace):
        def countersign(self, closing: Closing) -> str | None:
            (prepared.out / name).write_bytes(b"EVIL")
            return super().countersign(closing)

    with pytest.raises(Refused):
        hold(rehearsing.places_of(prepared), Exchanges(prepared.sheet, io.StringIO()))
    assert not (prepared.out / "SHA256SUMS").exists()


@refuses("TRN-COUNTERSIGNATURE")
def test_nobody_can_have_signed_where_no_policy_names_anybody(prepared: Prepared) -> None:
    prepared.policy.write_bytes(b"nonsense = [")
    ended = rehearsing.held(prepared)
    assert (ended.closed.outcome, ended.closed.policy) == (Outcome.REFUSED, None)
    files = read_folder(prepared.out)
    assert replay(files).verdict == "REPRODUCED"
    found = replay(resummed({**files, "checkpoint.evil.sshsig": b"MZ anything"}))
    assert (found.verdict, found.findings[0].rule) == ("FORGED", "TRN-COUNTERSIGNATURE")


def test_an_image_refused_at_the_second_opinion_leaves_no_signature_block(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = SecondOpinion("sbverify 9", "refused", "exit 1")
    monkeypatch.setattr(LinuxWorld, "second", lambda *_: refusal)
    rehearsing.held(prepared)
    for event in rehearsing.events(prepared):
        if isinstance(event, Decided) and isinstance(event.facts, dict):
            assert "cms" not in event.facts


@refuses("TRN-BUNDLE")
def test_names_in_a_bundle_that_are_no_text(finished: Prepared) -> None:
    (finished.out / os.fsdecode(b"\xff")).write_bytes(b"x")
    with pytest.raises(Refused) as refused:
        read_folder(finished.out)
    assert refused.value.findings[0].rule == "TRN-BUNDLE"


@refuses("TRN-BUNDLE")
def test_a_link_in_a_bundle_is_not_followed(finished: Prepared, tmp_path: Path) -> None:
    (finished.out / "anchor.efi").rename(tmp_path / "moved.efi")
    (finished.out / "anchor.efi").symlink_to(tmp_path / "moved.efi")
    with pytest.raises(Refused):
        read_folder(finished.out)
