"""Ceremonies that took another course: interrupted, aborted, with a ledger, without the image."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TextIO

import pytest
import rehearsing
from killing import run_and_die
from quorum.test_signed_input import signed
from steps.judge.test_judge import dissent

from ceremony.events import Aborted
from ceremony.ingest.reading import read_folder
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from ceremony.words import words
from transcripts.auditor import audit
from transcripts.replay import replay
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold

EVERYTHING = os.environ.get("UKI_CEREMONY_MUTATIONS") == "all"
LINES = range(1, 44) if EVERYTHING else (2, 24, 27, 29, 34)
ASKED = (
    "open.roles", "open.clock_read", "inventory.seen", "ingest.removed", "inspect.meaning",
    "judge.seen", "read_back.words", "sign.approve", "verify.seen", "seal.statement",
)  # fmt: skip


def agreed(prepared: Prepared, image: Path | None = None) -> tuple[str, str]:
    """Return verdict and outcome; both implementations say the same."""
    given = image.read_bytes() if image else None
    by_replay = replay(read_folder(prepared.out), given)
    by_auditor = audit(str(prepared.out), str(image) if image else None)
    assert by_auditor.verdict == by_replay.verdict, by_auditor.faults
    return by_auditor.verdict, by_auditor.outcome


@pytest.mark.parametrize("line", LINES)
def test_killed_after_a_line_and_resumed(line: int, prepared: Prepared) -> None:
    run_and_die(prepared, "after", str(line))
    rehearsing.held(prepared)
    assert agreed(prepared) == ("REPRODUCED", "ok")


@pytest.mark.parametrize("asked", ASKED if EVERYTHING else ASKED[::3])
def test_aborted_at_a_question(asked: str, prepared: Prepared) -> None:
    class Aborts(ScriptFace):
        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == asked:
                return Aborted("kim", "the seal on the bag was open")
            return super().answer(question)

    with tempfile.TemporaryFile("w") as nowhere:
        hold(rehearsing.places_of(prepared), Aborts(prepared.sheet, nowhere))
    assert agreed(prepared) == ("REPRODUCED", "aborted")


def test_with_a_ledger_both_witnesses_confirm_its_head(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, ("[machine]", "[ledger]\n\n[machine]"))
    rehearsing.held(prepared)
    assert rehearsing.names(prepared).count("judge.ledger") == 2
    assert agreed(prepared) == ("REPRODUCED", "ok")


def test_operators_override_a_dissent(prepared: Prepared) -> None:
    dissent(prepared)
    two = ("[gates]", "[dissent]\noverride = { operators = 2 }\n\n[gates]")
    rehearsing.edit_policy(prepared, two)
    rehearsing.held(prepared, {"judge.override": ("seen and understood",) * 2})
    assert rehearsing.names(prepared).count("judge.override") == 2
    assert agreed(prepared) == ("REPRODUCED", "ok")


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_an_ecdsa_key_signs_where_the_policy_takes_it(kind: str, prepared: Prepared) -> None:
    if prepared.key_source != "SoftHSM token":
        pytest.skip("softhsm2 is not installed")
    rehearsing.take_ecdsa(prepared, kind)
    rehearsing.held(prepared)
    assert agreed(prepared) == ("REPRODUCED", "ok")


def test_two_key_holders_type_a_half_of_the_pin_each(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, ("[signer]\n", '[signer]\npin = "halves"\n'))
    rehearsing.held(prepared)
    assert agreed(prepared) == ("REPRODUCED", "ok")


def test_an_image_that_is_signed_already_is_signed_once_more(prepared: Prepared) -> None:
    image = signed((prepared.media / "anchor.efi").read_bytes())
    (prepared.media / "anchor.efi").write_bytes(image)

    class Reads(ScriptFace):
        def __init__(self, nowhere: TextIO) -> None:
            super().__init__(prepared.sheet, nowhere)
            self._words = [*words(hashlib.sha256(image).digest())]

    with tempfile.TemporaryFile("w") as nowhere:
        hold(rehearsing.places_of(prepared), Reads(nowhere))
    assert agreed(prepared) == ("REPRODUCED", "ok")


def test_without_the_unsigned_image_it_must_be_given(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, ("[machine]", "[outputs]\nunsigned = false\n\n[machine]"))
    rehearsing.held(prepared)
    assert agreed(prepared)[0] == "INCOMPLETE"
    assert agreed(prepared, prepared.media / "anchor.efi") == ("REPRODUCED", "ok")
    other = prepared.folder / "other.efi"
    other.write_bytes(rehearsing.tiny_uki(b"2"))
    assert agreed(prepared, other)[0] == "INCOMPLETE"


def test_a_policy_that_the_small_reader_does_not_know_cannot_be_judged(prepared: Prepared) -> None:
    text = "[owners]\nthreshold = 2\n"
    rehearsing.edit_policy(prepared, (text, "[owners]\nthreshold = 0x2\n"))
    rehearsing.held(prepared)
    assert replay(read_folder(prepared.out)).verdict == "REPRODUCED"
    found = audit(str(prepared.out), None)
    assert found.verdict == "INCOMPLETE"
    assert [fault.rule for fault in found.faults] == ["POL-TOML"]
