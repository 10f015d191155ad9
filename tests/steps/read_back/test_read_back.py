"""read_back: words from paper, at places drawn by chance; one mishearing, then it ends."""

from __future__ import annotations

import re

import pytest
import rehearsing
from marks import accepts, refuses

from ceremony.engine import Rules, begin, step
from ceremony.errors import OutOfOrder
from ceremony.events import Ack, Drawn, Outcome
from ceremony.ingest.world import LinuxWorld
from ceremony.types import Mode
from ceremony.words import words
from tui.rehearsal.prepare import Prepared

WRONG = ("aardvark adroitness absurd adviser accrue aftermath",)


@accepts("APP-WORDS")
def test_the_right_words(finished: Prepared) -> None:
    (decided,) = rehearsing.decisions(finished, "read_back.verdict")
    assert decided.outcome is Outcome.OK


@refuses("APP-WORDS")
def test_one_wrong_word_is_recorded_and_may_be_repeated_once(prepared: Prepared) -> None:
    ended = rehearsing.held(prepared, {"read_back.words": WRONG})
    assert ended.released
    drawn = [e.positions for e in rehearsing.events(prepared) if isinstance(e, Drawn)]
    assert len(drawn) == 2
    outcomes = [d.outcome for d in rehearsing.decisions(prepared, "read_back.verdict")]
    assert outcomes == [Outcome.REFUSED, Outcome.OK]
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@refuses("APP-WORDS")
def test_a_second_wrong_word_aborts_and_is_sealed(prepared: Prepared) -> None:
    ended = rehearsing.held(prepared, {"read_back.words": WRONG * 2})
    assert ended.closed.outcome is Outcome.ABORTED
    assert rehearsing.refused_rules(ended) == {"APP-WORDS"}
    assert "sign.token" not in rehearsing.names(prepared)
    found = rehearsing.replayed(prepared)
    assert (found.verdict, found.outcome) == ("REPRODUCED", "aborted")


def test_the_words_are_not_on_the_screen_that_asks_for_them(finished: Prepared) -> None:
    sha256 = bytes.fromhex(finished.image_sha256)
    asked = [e for e in rehearsing.events(finished) if e.name == "read_back.words"]
    for ack in asked:
        assert isinstance(ack, Ack)
        text = " ".join(ack.shown).casefold()
        shown = set(re.findall(r"[a-z]+", text)) - set(re.findall(r"[a-z]+", "aloud of the image"))
        assert not shown & {word.casefold() for word in words(sha256)}
        assert sha256.hex()[:8] not in text


def test_places_are_drawn_without_pattern() -> None:
    world = LinuxWorld(Mode.REHEARSAL, (), "t", "0" * 64)
    drawn = [world.draw(6, 32) for _ in range(400)]
    assert {place for places in drawn for place in places} == set(range(1, 33))
    assert all(list(places) == sorted(set(places)) for places in drawn)
    assert len(set(drawn)) > 390


@pytest.mark.parametrize(
    "places",
    [
        (1, 2),
        (1, 1, 2, 3, 4, 5),
        (6, 5, 4, 3, 2, 1),
        (0, 1, 2, 3, 4, 5),
        (28, 29, 30, 31, 32, 33),
    ],
)
def test_places_that_are_no_draw_are_not_taken(finished: Prepared, places: tuple[int, ...]) -> None:
    rules = Rules({finished.image_sha256: (finished.out / "anchor.efi").read_bytes()})
    state = begin()
    for event in rehearsing.events(finished):
        if isinstance(event, Drawn):
            with pytest.raises(OutOfOrder):
                step(state, Drawn(places), rules)
            return
        state, _ = step(state, event, rules)
