"""The chain from ceremony to ceremony: the first line names the head of the one before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import rehearsing
from marks import accepts, refuses

from ceremony.errors import Refused
from ceremony.events import Ack, Begun, Outcome
from ceremony.ingest.media import FolderMedia
from tui.before import given_head, head_before
from tui.commands.dispatch import dispatch
from tui.commands.rehearse import places_of
from tui.rehearsal.prepare import Prepared
from tui.wiring import Ended, hold


def begun(prepared: Prepared) -> Begun:
    first = rehearsing.events(prepared)[0]
    assert isinstance(first, Begun)
    return first


def findings(prepared: Prepared) -> list[str]:
    (decided,) = rehearsing.decisions(prepared, "judge.verdict")
    return [f"{f.severity} {f.text}" for f in decided.findings if f.rule == "TRN-PREVIOUS"]


def naming(prepared: Prepared, head: str) -> Ended:
    return hold(replace(places_of(prepared), previous=head), rehearsing.script(prepared))


@pytest.fixture
def pair(prepared: Prepared, tmp_path: Path) -> tuple[Prepared, Prepared]:
    """A ceremony that was held under a ledger, and the next one with its line on the medium."""
    rehearsing.edit_policy(prepared, ("[quorum]\n", "[ledger]\n\n[quorum]\n"))
    again = rehearsing.copy(prepared, tmp_path / "again")
    assert rehearsing.held(prepared).released
    book = again.media / "ledger.jsonl"
    assert dispatch(["ledger", str(prepared.out), "--output", str(book)]) == 0
    return prepared, again


@accepts("TRN-PREVIOUS")
def test_the_next_ceremony_names_the_head_that_the_ledger_has(
    pair: tuple[Prepared, Prepared],
) -> None:
    first, second = pair
    assert begun(first).previous_head is None
    assert findings(first) == ["info the first ceremony under its ledger: none before it"]
    assert rehearsing.held(second).released
    found = rehearsing.replayed(first)
    assert found.head is not None
    assert begun(second).previous_head == found.head.root.hex()
    assert findings(second) == [f"info follows ceremony {found.ceremony}: {found.head.spoken}"]
    asked = next(e for e in rehearsing.events(second) if e.name == "open.roles")
    assert isinstance(asked, Ack)
    assert any(line.endswith(found.head.spoken) for line in asked.shown)
    again = rehearsing.replayed(second)
    assert (again.verdict, again.previous) == ("REPRODUCED", found.head.root.hex())


@refuses("TRN-PREVIOUS")
def test_another_head_than_the_ledgers_is_refused(pair: tuple[Prepared, Prepared]) -> None:
    _, second = pair
    ended = naming(second, "ab" * 32)
    assert ended.closed.outcome is Outcome.REFUSED
    assert rehearsing.refused_rules(ended) == {"TRN-PREVIOUS"}
    assert rehearsing.replayed(second).verdict == "REPRODUCED"


@refuses("TRN-PREVIOUS")
def test_a_head_where_the_ledger_has_no_ceremony_is_refused(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, ("[quorum]\n", "[ledger]\n\n[quorum]\n"))
    assert rehearsing.refused_rules(naming(prepared, "ab" * 32)) == {"TRN-PREVIOUS"}


@refuses("TRN-PREVIOUS")
def test_a_ledger_that_came_only_after_the_first_line_is_a_warning(
    pair: tuple[Prepared, Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = pair
    monkeypatch.setattr("tui.wiring.head_before", lambda *_: None)
    assert rehearsing.held(second).released
    assert findings(second)[0].startswith("warn the first line names no ceremony")


def test_without_a_ledger_people_may_name_it_and_nobody_confirms_it(prepared: Prepared) -> None:
    assert naming(prepared, "ab" * 32).released
    assert begun(prepared).previous_head == "ab" * 32
    assert findings(prepared) == []
    assert rehearsing.replayed(prepared).previous == "ab" * 32


@refuses("TRN-PREVIOUS")
@pytest.mark.parametrize("head", ["", "ab", "AB" * 32, "ab" * 33, "\x1b[2J"])
def test_a_head_that_cannot_be_one_is_refused_before_a_line_is_written(
    prepared: Prepared, head: str
) -> None:
    if head:
        with pytest.raises(Refused, match="TRN-PREVIOUS"):
            naming(prepared, head)
        assert (prepared.logs[0] / "transcript.jsonl").read_bytes() == b""
    with pytest.raises(Refused):
        given_head(head or "nowhere")


def test_the_option_takes_a_checkpoint_too(finished: Prepared) -> None:
    found = rehearsing.replayed(finished)
    assert found.head is not None
    assert given_head(str(finished.out / "checkpoint.txt")) == found.head.root.hex()
    assert given_head("ab" * 32) == "ab" * 32


@pytest.mark.parametrize("book", [b"", b"nonsense\n", b"{}", b"\x00" * 1000])
def test_a_ledger_that_cannot_be_read_names_nothing(prepared: Prepared, book: bytes) -> None:
    rehearsing.edit_policy(prepared, ("[quorum]\n", "[ledger]\n\n[quorum]\n"))
    read = FolderMedia(prepared.media, prepared.policy).read_policy()
    (prepared.media / "ledger.jsonl").write_bytes(book)
    assert head_before(prepared.media, read) is None
    assert head_before(prepared.media / "gone", read) is None
