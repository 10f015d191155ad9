"""A record may fail or be aborted in this step a million times: each costs a line, not a medium."""

from __future__ import annotations

from pathlib import Path

from ceremony.effects import Ask, Record, WriteOutputs
from ceremony.engine import advance, begin, wants
from ceremony.engine.rules import Rules
from ceremony.events import Aborted, Ack, OutputsFailed, OutputsIntended
from ceremony.states import Seal, State
from transcripts.log import read_log
from transcripts.replay import contents_of

BUNDLE = Path(__file__).parents[3] / "transcripts" / "golden" / "refused_quorum" / "bundle"


def sealing() -> tuple[Seal, Rules]:
    """Return the state in which a golden ceremony's outputs are to be written."""
    log = read_log((BUNDLE / "transcript.jsonl").read_bytes())
    rules = Rules(contents_of(log, {"anchor.efi": (BUNDLE / "anchor.efi").read_bytes()}))
    state = begin()
    for line in log.lines:
        state = advance(state, line.event, rules)
        if isinstance(line.event, OutputsIntended):
            break
    assert isinstance(state, Seal)
    return state, rules


def to_write(state: State, rules: Rules) -> WriteOutputs:
    (effect,) = wants(state, rules)
    assert isinstance(effect, WriteOutputs)
    return effect


def test_outputs_that_fail_again_and_again_are_made_once() -> None:
    state, rules = sealing()
    policy = state.policy
    assert policy is not None
    first = to_write(state, rules).outputs
    failed = advance(state, OutputsFailed("MED-WRITE", "full"), rules)
    (asked,) = wants(failed, rules)
    assert isinstance(asked, Ask)
    shown = asked.question.shown
    ack = Ack("seal.again", "administrator", policy.roles.administrator, shown, "WRITE")
    again = advance(failed, ack, rules)
    assert to_write(again, rules).outputs is first
    assert to_write(again, Rules(rules.contents)).outputs[0].file == first[0].file


def test_names_of_earlier_outputs_do_not_grow_with_every_abort() -> None:
    state: State
    state, rules = sealing()
    assert isinstance(state, Seal)
    assert state.intent is not None
    names = tuple(file.name for file in state.intent.files)
    for _ in range(3):
        state = advance(state, Aborted("ann", "again"), rules)
        (effect,) = wants(state, rules)
        assert isinstance(effect, Record)
        state = advance(state, effect.event, rules)
        assert isinstance(state, Seal)
        assert state.earlier == names
