"""open: the policy holds and its owners signed it, roles are filled, two clocks agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import rehearsing
from marks import accepts, refuses

from ceremony.clock import typed_time, wall_text, wall_time
from ceremony.engine import Rules, begin, step
from ceremony.errors import Refused
from ceremony.events import Begun, Outcome
from tui.rehearsal.prepare import Prepared


@accepts("AIR-CLOCK", "TRN-RULESET", "POL-OWNERS", "POL-WINDOW")
def test_a_sound_opening(finished: Prepared) -> None:
    names = rehearsing.names(finished)
    assert names[:7] == [
        "open.begin",
        "open.policy",
        "open.policy_verdict",
        "open.roles",
        "open.clock",
        "open.clock_read",
        "open.clock_verdict",
    ]


@refuses("POL-OWNERS")
def test_a_policy_that_was_changed_after_signing_ends_it_before_anything_is_read(
    prepared: Prepared,
) -> None:
    text = prepared.policy.read_text("utf-8").replace("threshold = 3", "threshold = 1")
    prepared.policy.write_text(text, "utf-8")
    ended = rehearsing.held(prepared)
    assert ended.closed.outcome is Outcome.REFUSED
    assert "POL-OWNERS" in rehearsing.refused_rules(ended)
    assert "ingest.media" not in rehearsing.names(prepared)
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@refuses("POL-OWNERS")
def test_one_of_two_owners_is_not_enough(prepared: Prepared) -> None:
    (prepared.folder / "policy.toml.owner-2.sshsig").unlink()
    assert "POL-OWNERS" in rehearsing.refused_rules(rehearsing.held(prepared))


@refuses("POL-OWNERS")
def test_one_owner_signing_twice_is_one(prepared: Prepared) -> None:
    first = prepared.folder / "policy.toml.owner-1.sshsig"
    (prepared.folder / "policy.toml.owner-2.sshsig").write_bytes(first.read_bytes())
    assert "POL-OWNERS" in rehearsing.refused_rules(rehearsing.held(prepared))


@refuses("POL-WINDOW")
def test_an_expired_policy_ends_it(prepared: Prepared) -> None:
    text = prepared.policy.read_text("utf-8")
    old = next(line for line in text.splitlines() if line.startswith("expires = "))
    start = next(line for line in text.splitlines() if line.startswith("valid_from = "))
    rehearsing.edit_policy(
        prepared,
        (old, "expires = 2026-01-02T00:00:00Z"),
        (start, "valid_from = 2026-01-01T00:00:00Z"),
    )
    assert "POL-WINDOW" in rehearsing.refused_rules(rehearsing.held(prepared))


@refuses("AIR-CLOCK")
def test_a_clock_that_is_off_is_read_again_and_both_readings_stay(prepared: Prepared) -> None:
    wrong = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%d %H:%M")
    ended = rehearsing.held(prepared, {"open.clock_read": (wrong,)})
    assert ended.released
    outcomes = [d.outcome for d in rehearsing.decisions(prepared, "open.clock_verdict")]
    assert outcomes == [Outcome.REFUSED, Outcome.OK]
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@refuses("TRN-RULESET")
@pytest.mark.parametrize("field", ["ruleset", "format"])
def test_another_rule_set_or_format_is_not_begun(finished: Prepared, field: str) -> None:
    (first, *_) = rehearsing.events(finished)
    assert isinstance(first, Begun)
    other = Begun(**{f: getattr(first, f) for f in first.__slots__} | {field: "2"})
    with pytest.raises(Refused) as refused:
        step(begin(), other, Rules())
    assert refused.value.findings[0].rule == "TRN-RULESET"


@refuses("AIR-CLOCK")
@pytest.mark.parametrize("text", ["2026-13-01T00:00:00Z", "2026-1-1T00:00:00Z", "", "now"])
def test_a_reading_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        wall_time(text)


def test_clock_readings_are_utc_to_the_second() -> None:
    moment = datetime(2026, 11, 22, 14, 3, 7, tzinfo=UTC)
    assert wall_time(wall_text(moment)) == moment
    assert typed_time("2026-11-22 14:03") == moment.replace(second=0)
    with pytest.raises(ValueError, match="UTC"):
        wall_text(datetime(2026, 11, 22))  # noqa: DTZ001 - a naive time is the point
