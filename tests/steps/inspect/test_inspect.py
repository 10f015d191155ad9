"""inspect: a malformed image ends the ceremony; the meaning of a sound one is shown."""

from __future__ import annotations

import rehearsing

from ceremony.events import Ack, Outcome
from tui.rehearsal.prepare import Prepared


def test_a_truncated_image_is_refused_before_it_is_judged(prepared: Prepared) -> None:
    image = prepared.media / "anchor.efi"
    image.write_bytes(image.read_bytes()[:-512])
    ended = rehearsing.held(prepared)
    assert ended.closed.outcome is Outcome.REFUSED
    assert "PE-SECTION-EOF" in rehearsing.refused_rules(ended)
    assert "judge.verdict" not in rehearsing.names(prepared)
    assert not list(prepared.out.glob("*.signed.efi"))
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_the_meaning_is_shown_and_recorded_with_the_answer(finished: Prepared) -> None:
    (ack,) = [e for e in rehearsing.events(finished) if e.name == "inspect.meaning"]
    assert isinstance(ack, Ack)
    shown = "\n".join(ack.shown)
    assert "Tiny UKI 1" in shown
    assert "6.1.0-tiny, x86_64" in shown
    assert "console=ttyS0 quiet" in shown
    assert (ack.person, ack.role, ack.answer) == ("ed", "external witness", "UNDERSTOOD")


def test_all_findings_are_recorded_not_the_first_alone(prepared: Prepared) -> None:
    image = prepared.media / "anchor.efi"
    data = bytearray(image.read_bytes())
    at = int.from_bytes(data[0x3C:0x40], "little") + 24
    data[at + 68 : at + 70] = (3).to_bytes(2, "little")  # Subsystem
    data[at + 56 : at + 60] = bytes(4)  # SizeOfImage
    image.write_bytes(data)
    rules = rehearsing.refused_rules(rehearsing.held(prepared))
    assert {"PE-SUBSYSTEM", "PE-IMAGE-SIZE"} <= rules
