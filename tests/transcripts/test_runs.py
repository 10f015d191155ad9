"""replay(run(x)) gives the verdict of x: people stumble, tokens are lost, power fails."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from imagined import Ceremony, Setting, Troubles, setting

from ceremony.events import Outcome, Signed
from transcripts.auditor import audit
from transcripts.log import read_log
from transcripts.replay import Replayed, Verdict, make_sums, replay

RUNS = int(os.environ.get("UKI_CEREMONY_RUNS", "25"))
STUMBLES = ("except", "lock", "abort", "stranger", "wrong", "die")
CALLS = st.integers(1, 30)
TROUBLES = st.builds(
    Troubles,
    people=st.dictionaries(
        CALLS, st.sampled_from(("except", "lock", "stranger", "wrong", "empty", "die")), max_size=5
    ),
    token=st.dictionaries(
        st.integers(1, 4), st.sampled_from(("lost", "failed", "cancelled", "die")), max_size=3
    ),
    outputs=st.dictionaries(
        st.integers(1, 3), st.sampled_from(("full", "fail", "rot")), max_size=2
    ),
    deaths=st.dictionaries(st.integers(1, 60), st.sampled_from(("before", "after")), max_size=3),
    machine=st.sampled_from(("", "radio")),
    always=st.booleans(),
    second=st.sampled_from(("accepted", "accepted", "absent", "refused")),
    signers=st.sampled_from((("ines", "ed"), ("kim", "kay", "ed"), ("ines",), ("carol", "ed"), ())),
)


@pytest.fixture(scope="module")
def given_setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return setting(tmp_path_factory.mktemp("imagined") / "r")


def held(given: Setting, troubles: Troubles) -> Ceremony:
    ceremony = Ceremony(given, troubles)
    closed = ceremony.run()
    witnesses = set(troubles.signers) - {"carol"} if closed.policy else set()
    needed = closed.policy.countersignatures.threshold if closed.policy else 0
    enough = len(witnesses) >= needed
    found = replay(ceremony.bundle())
    wanted = Verdict.REPRODUCED if enough else Verdict.INCOMPLETE
    assert (found.verdict, found.outcome) == (wanted, str(closed.outcome)), found.findings
    assert found.events == len(ceremony.lines)
    assert set(found.witnesses) == witnesses
    assert found.first is None
    _without_its_image(ceremony.bundle(), found)
    return ceremony


def _without_its_image(files: dict[str, bytes], whole: Replayed) -> None:
    """What is believed in the image's place leads to the same end, and nothing differs."""
    if "anchor.efi" not in files:
        return
    rest = {n: data for n, data in files.items() if n not in ("anchor.efi", "SHA256SUMS")}
    found = replay({**rest, "SHA256SUMS": make_sums(rest)})
    assert (found.verdict, found.outcome) == (Verdict.INCOMPLETE, whole.outcome), found.findings
    assert (found.first, found.witnesses) == (None, whole.witnesses)
    assert "TRN-IMAGE" in {finding.rule for finding in found.findings}


def test_an_imagined_ceremony_is_released(given_setting: Setting) -> None:
    ceremony = held(given_setting, Troubles())
    assert len(ceremony.lines) == 43
    assert replay(ceremony.bundle()).outcome == "ok"


@settings(max_examples=RUNS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(troubles=TROUBLES, abort=st.none() | CALLS)
@example(troubles=Troubles(people={30: "wrong"}), abort=None)
@example(troubles=Troubles(token={1: "lost", 2: "die"}), abort=None)
@example(troubles=Troubles(outputs={1: "rot", 2: "fail"}), abort=None)
@example(troubles=Troubles(people={1: "wrong", 2: "wrong", 3: "wrong"}), abort=None)
def test_every_run_replays_to_its_own_outcome(
    given_setting: Setting, troubles: Troubles, abort: int | None
) -> None:
    if abort:
        troubles.people[abort] = "abort"
    ceremony = held(given_setting, troubles)
    signatures = {
        event.result.signature
        for event in ceremony.events
        if isinstance(event, Signed) and event.result.outcome == "signed"
    }
    assert len(signatures) <= 1  # RSA: one intent, one value


def test_the_runs_come_out_in_every_way(given_setting: Setting) -> None:
    """The generator of troubles is worth something: each ending is met by name."""
    endings = {
        Outcome.OK: Troubles(people={3: "lock", 9: "except", 11: "die"}),
        Outcome.ABORTED: Troubles(people={8: "abort"}),
        Outcome.REFUSED: Troubles(second="refused"),
        Outcome.DISPUTED: Troubles(
            people=dict.fromkeys(range(14, 19), "wrong"), outputs={}, deaths={}
        ),
    }
    for outcome, troubles in endings.items():
        assert held(given_setting, troubles).run().outcome is outcome


# How many PIN prompts there are in all, where this is done at the second and at the third.
PROMPTS = {
    "stranger": (4, 4),  # asked again
    "except": (5, 4), "lock": (5, 4),  # the login begins again; a signature waits
    "wrong": (5, 6), "empty": (5, 6), "die": (5, 6),  # all three again
    "abort": (2, 3),
}  # fmt: skip


@pytest.mark.parametrize("prompt", [2, 3], ids=["test-signature", "signature"])
@pytest.mark.parametrize("does", PROMPTS)
def test_whatever_is_done_at_a_later_use_of_a_key_replays_and_is_audited(
    given_setting: Setting, tmp_path: Path, prompt: int, does: str
) -> None:
    ceremony = held(given_setting, Troubles(always=True, pins={prompt: does}))
    assert ceremony.counts["pin"] == PROMPTS[does][prompt - 2]
    attempts = [(e.attempt, e.result.outcome) for e in ceremony.events if isinstance(e, Signed)]
    if does == "abort":
        assert attempts == []
    elif prompt == 2 or does in ("stranger", "except", "lock"):
        assert attempts == [(1, "signed")]
    else:  # a death between the intent and the PIN leaves an unknown outcome, no result
        failed = [] if does == "die" else [(1, "failed")]
        assert attempts == [*failed, (2, "signed")]
    for name, data in ceremony.bundle().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    found = audit(str(tmp_path), None)
    outcome = "aborted" if does == "abort" else "ok"
    assert (found.verdict, found.outcome) == ("REPRODUCED", outcome), found.faults


def test_any_line_of_a_run_changed_is_noticed(given_setting: Setting) -> None:
    ceremony = held(given_setting, Troubles(people={4: "lock", 12: "die"}, token={1: "lost"}))
    bundle = ceremony.bundle()
    chance = random.Random(20261122)
    text = bundle["transcript.jsonl"]
    for _ in range(120):
        place = chance.randrange(len(text))
        flipped = bytearray(text)
        flipped[place] ^= 1 << chance.randrange(8)
        assert replay({**bundle, "transcript.jsonl": bytes(flipped)}).verdict != "REPRODUCED"
    assert read_log(text).fault is None
