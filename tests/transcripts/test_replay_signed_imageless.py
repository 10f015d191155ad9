"""Replay of an image that was signed before, without it: what verify warned of is known."""

from __future__ import annotations

import hashlib
import tempfile
from typing import TextIO

import rehearsing
from forging import rechained
from marks import accepts, refuses
from pe.images import signer
from sbsigntools.odd_cms import Odd, attached, odd_cms

from ceremony.ingest.reading import read_folder
from ceremony.words import words
from transcripts.auditor import audit
from transcripts.replay import Verdict, replay
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold

IMAGELESS = ("[machine]", "[outputs]\nunsigned = false\n\n[machine]")


@accepts("TRN-IMAGE", "SIG-OUTER")
@refuses("TRN-DECISION")
def test_a_signature_before_that_firmware_passes_over_is_warned_of_without_the_image(
    prepared: Prepared,
) -> None:
    rehearsing.edit_policy(prepared, IMAGELESS)
    place = prepared.media / "anchor.efi"
    before = place.read_bytes()
    image = attached(before, odd_cms(before, signer("before"), Odd(version=256)))
    place.write_bytes(image)

    class Reads(ScriptFace):
        def __init__(self, nowhere: TextIO) -> None:
            super().__init__(prepared.sheet, nowhere)
            self._words = [*words(hashlib.sha256(image).digest())]

    with tempfile.TemporaryFile("w") as nowhere:
        assert hold(rehearsing.places_of(prepared), Reads(nowhere)).released
    (verified,) = rehearsing.decisions(prepared, "verify.verdict")
    assert [finding.rule for finding in verified.findings] == ["SIG-OUTER"]
    files = read_folder(prepared.out)
    assert replay(files, image).verdict is Verdict.REPRODUCED
    found = replay(files)
    assert [finding.rule for finding in found.findings] == ["TRN-IMAGE"], found.findings
    assert (found.verdict, found.outcome) == (Verdict.INCOMPLETE, "ok")
    assert audit(str(prepared.out), None).verdict == "INCOMPLETE"

    def unwarned(values: list[dict[str, object]]) -> None:
        (verdict,) = (v for v in values if v["event"] == "verify.verdict")
        body = verdict["body"]
        assert isinstance(body, dict)
        body["findings"] = []

    found = replay(rechained(files, unwarned))
    assert found.first is not None
    assert (found.first.event, found.first.rule) == ("verify.verdict", "TRN-DECISION")
