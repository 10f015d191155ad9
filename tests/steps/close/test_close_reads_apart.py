"""While a ceremony is held no attestation is read in its own process, the close included."""

from __future__ import annotations

import shutil

import pytest
import rehearsing
from marks import accepts

from ceremony.attest import gather
from ceremony.attest.aids import Aids
from ceremony.attest.gather import Evidence
from ceremony.attest.record import Reading
from ceremony.policy import Policy
from transcripts.replay import Verdict, replay
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold


@accepts("MED-SANDBOX")
def test_outputs_that_are_made_again_are_judged_with_attestations_read_apart(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[str] = []
    read = gather.read

    def noted(evidence: Evidence, policy: Policy, aids: Aids) -> tuple[Reading, ...]:
        here.append(evidence.file.path)
        return read(evidence, policy, aids)

    class PullsTheOutputs(ScriptFace):
        def recorded(self, event: object, head: object) -> None:
            if getattr(event, "name", "") == "close.transcript":
                shutil.rmtree(prepared.out)

    monkeypatch.setattr(gather, "read", noted)
    assert hold(rehearsing.places_of(prepared), PullsTheOutputs(prepared.sheet)).released
    assert here == []
    assert replay(rehearsing.read_bundle(prepared.out)).verdict is Verdict.REPRODUCED
    assert here != [], "replay reads for itself"
