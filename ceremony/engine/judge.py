"""judge: did a quorum of independent builders build these bytes; every dissent shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, assert_never

from ceremony.attest.aids import Aids
from ceremony.blobs import from_blob
from ceremony.codec import encode
from ceremony.effects import Ask, Effect, Record
from ceremony.engine.endings import refused
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import Rules
from ceremony.events import Ack, Decided, Event, Outcome
from ceremony.policy import Policy
from ceremony.questions import Form, Question
from ceremony.quorum import apply_override, judge
from ceremony.show import escaped
from ceremony.states import Approved, Judge, ReadBack, Session, State, Taken
from ceremony.types import ImageFacts, refusals
from ceremony.verdicts import Judgement, Verdict

MOST_SHOWN = 60

JudgeEvent: TypeAlias = Ack | Decided


def enter(session: Session, taken: Taken, facts: ImageFacts, rules: Rules) -> Judge:
    """Return the step's first state, its decision made."""
    files = tuple(from_blob(blob) for blob in taken.media.files)
    aids = Aids(archives=taken.media.archives, verifier=rules.verifier)
    verdict = judge(session.policy, taken.image.path, facts, files, session.now, aids=aids)
    return Judge(session, taken, facts, verdict, _decided("judge.verdict", verdict))


def wants(state: Judge) -> Effect:
    """Return what judge does next."""
    if state.pending:
        return Record(state.pending)
    return Ask(_question(state))


def absorb(state: Judge, event: Event, _rules: Rules) -> State:
    """Return the state after one event of this step."""
    if not isinstance(event, JudgeEvent):
        raise OutOfStep(state, event)
    match event:
        case Decided() if state.pending:
            expect_same(state.pending, event)
            settled = replace(state, pending=None, decided=event)
            if event.outcome is Outcome.REFUSED:
                return refused(settled, refusals(event.findings))
            return settled
        case Ack() if state.decided and not state.pending:
            expect_ack(event, _question(state))
            if state.decided.outcome is Outcome.OVERRIDE_NEEDED:
                return _override(state, event)
            return ReadBack(state.session, state.taken, Approved(state.facts, state.verdict))
        case Decided() | Ack():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _decided(name: str, verdict: Verdict) -> Decided:
    outcomes = {
        Judgement.ACCEPT: Outcome.OK,
        Judgement.REFUSE: Outcome.REFUSED,
        Judgement.OVERRIDE_NEEDED: Outcome.OVERRIDE_NEEDED,
    }
    return Decided(name, outcomes[verdict.verdict], verdict.findings, encode(verdict))


def _override(state: Judge, ack: Ack) -> Judge:
    """QRM-: a veto falls only by the policy's number of named operators, each with a reason."""
    overrides = (*state.overrides, ack)
    if len(overrides) < state.session.policy.dissent.override.operators:
        return replace(state, overrides=overrides)
    operators = tuple(a.person for a in overrides)
    reason = "; ".join(f"{a.person}: {a.answer}" for a in overrides)
    verdict = apply_override(state.verdict, operators, reason, state.session.policy)
    return replace(
        state,
        verdict=verdict,
        overrides=overrides,
        decided=None,
        pending=_decided("judge.override_verdict", verdict),
    )


def _question(state: Judge) -> Question:
    policy = state.session.policy
    if state.decided and state.decided.outcome is Outcome.OVERRIDE_NEEDED:
        return _override_question(state, policy)
    return Question(
        name="judge.seen",
        role="external witness",
        persons=(policy.roles.external_witness,),
        shown=verdict_lines(state.verdict),
        prompt="Type COUNTED when the matrix is the one you expected",
        form=Form.CONFIRM,
        word="COUNTED",
    )


def _override_question(state: Judge, policy: Policy) -> Question:
    needed = policy.dissent.override.operators
    done = {ack.person for ack in state.overrides}
    return Question(
        name="judge.override",
        role="operator",
        persons=tuple(p.id for p in policy.persons if p.id not in done),
        shown=(
            *verdict_lines(state.verdict),
            f"A builder disagrees. {needed} operators must override by name, or abort with F10.",
            f"{len(done)} of {needed} did.",
        ),
        prompt="Why is this image signed against a builder's word",
        form=Form.REASON,
    )


def verdict_lines(verdict: Verdict) -> tuple[str, ...]:
    """Return the verdict, the matrix and each attestation's disposition, a line each."""
    return (
        f"Verdict   {verdict.verdict}",
        *(
            f"{escaped(d.builder, 14) or '-':<14} {d.disposition:<11} "
            f"{escaped(d.file, 60)}{f' {d.rule}: {d.text}' if d.rule else ''}"
            for d in verdict.dispositions[:MOST_SHOWN]
        ),
        *(
            (f"... and {len(verdict.dispositions) - MOST_SHOWN} more, all in the record",)
            if len(verdict.dispositions) > MOST_SHOWN
            else ()
        ),
        *(f"{f.severity:<6} {f.rule}: {f.text}" for f in verdict.findings),
    )
