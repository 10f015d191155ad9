"""A stick with another image was refused: what is sealed is replayed with the one taken in."""

from __future__ import annotations

import rehearsing
from marks import accepts

from ceremony.events import MediaRead
from transcripts.auditor import audit
from transcripts.replay import Verdict, replay
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold

IMAGELESS = ("[machine]", "[outputs]\nunsigned = false\n\n[machine]")
TWO_NAMES = ('names = ["anchor.efi"]', 'names = ["anchor.efi", "result/anchor.efi"]')


@accepts("TRN-IMAGE")
def test_a_bundle_without_its_image_is_sealed_after_a_stick_with_another_one(
    prepared: Prepared,
) -> None:
    rehearsing.edit_policy(prepared, IMAGELESS, TWO_NAMES)
    place = prepared.media / "anchor.efi"
    good = place.read_bytes()
    place.write_bytes(first := rehearsing.tiny_uki(b"2"))
    second = prepared.media / "result"
    second.mkdir()
    (second / "anchor.efi").write_bytes(b"a second file with a name of the image")

    class PutsAGoodOneIn(ScriptFace):
        def recorded(self, event: object, head: object) -> None:
            if getattr(event, "name", "") == "ingest.again":
                (second / "anchor.efi").unlink()
                place.write_bytes(good)

    ended = hold(rehearsing.places_of(prepared), PutsAGoodOneIn(prepared.sheet))
    read = [event.image for event in rehearsing.events(prepared) if isinstance(event, MediaRead)]
    assert len({image.sha256 for image in read if image}) == 2
    assert ended.released
    files = rehearsing.read_bundle(prepared.out)
    away = prepared.folder / "away.efi"
    for image, verdict in ((good, Verdict.REPRODUCED), (first, Verdict.INCOMPLETE)):
        away.write_bytes(image)
        assert replay(files, image).verdict is verdict
        assert audit(str(prepared.out), str(away)).verdict == verdict
