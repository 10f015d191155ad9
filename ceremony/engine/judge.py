"""judge: did a quorum of independent builders build these bytes; every dissent shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, assert_never

from ceremony import ledger
from ceremony.attest.aids import Aids
from ceremony.blobs import from_blob
from ceremony.codec import encode
from ceremony.effects import Ask, Effect, Record
from ceremony.engine import unseen
from ceremony.engine.chain import chained
from ceremony.engine.endings import refused
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import NotHere, Rules
from ceremony.events import Ack, Decided, Event, Outcome
from ceremony.ledger import Ledger
from ceremony.pe.unsigned import further_digests
from ceremony.policy import Policy
from ceremony.questions import Form, Question
from ceremony.quorum import Judged, apply_override, examine
from ceremony.show import escaped, grouped
from ceremony.states import Approved, Judge, ReadBack, Session, State, Taken
from ceremony.types import ImageFacts, MediaFile, refusals
from ceremony.verdicts import Judgement, Verdict

MOST_SHOWN = 60

JudgeEvent: TypeAlias = Ack | Decided


def enter(session: Session, taken: Taken, facts: ImageFacts, rules: Rules) -> Judge:
    """Return the step's first state, its decision made."""
    verdict = _judged(session, taken, facts, rules, "")
    if session.policy.ledger is not None:  # nothing is decided before people confirmed its head
        return Judge(session, taken, facts, verdict, None)
    return Judge(session, taken, facts, verdict, _decided("judge.verdict", verdict))


def examined(state: Judge, rules: Rules) -> Judged:
    """Return what the judge found besides the verdict, for the ledger's next line."""
    head = confirmed_head(state) if state.heads else ""
    return _examined(state.session, state.taken, state.facts, rules, head)


def confirmed_head(state: Judge) -> str:
    """Return the head of the ledger that lay on the medium, which people were shown."""
    return _ledger(state).head


def _judged(
    session: Session, taken: Taken, facts: ImageFacts, rules: Rules, ledger_head: str
) -> Verdict:
    try:
        return _examined(session, taken, facts, rules, ledger_head).verdict
    except NotHere:
        if not rules.lacks(taken.image.sha256):
            raise
        return unseen.verdict(session.policy, taken.image.path, facts, rules)


def _examined(
    session: Session, taken: Taken, facts: ImageFacts, rules: Rules, ledger_head: str
) -> Judged:
    return examine(
        session.policy,
        taken.image.path,
        facts,
        _files(taken),
        session.now,
        aids=Aids(archives=taken.media.archives, verifier=rules.verifier),
        further=lambda listed: further_digests(
            rules.content(taken.image.sha256), listed, rules.run
        ),
        ledger_head=ledger_head,
        read=rules.read,
    )


def _files(taken: Taken) -> tuple[MediaFile, ...]:
    return tuple(from_blob(blob) for blob in taken.media.files)


def wants(state: Judge) -> Effect:
    """Return what judge does next."""
    if state.pending:
        return Record(state.pending)
    if awaits_ledger(state):
        return Ask(_ledger_question(state))
    return Ask(_question(state))


def absorb(state: Judge, event: Event, rules: Rules) -> State:
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
        case Ack() if awaits_ledger(state):
            expect_ack(event, _ledger_question(state))
            return _confirmed(replace(state, heads=(*state.heads, event)), rules)
        case Ack() if state.decided and not state.pending:
            expect_ack(event, _question(state))
            if state.decided.outcome is Outcome.OVERRIDE_NEEDED:
                return _override(state, event)
            return ReadBack(state.session, state.taken, Approved(state.facts, state.verdict))
        case Decided() | Ack():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def awaits_ledger(state: Judge) -> bool:
    """Say whether people still have to confirm the ledger's head."""
    return not (state.pending or state.decided or state.overrides)


def _ledger(state: Judge) -> Ledger:
    rule = state.session.policy.ledger
    return ledger.read(_files(state.taken), rule.file if rule else "", "")


def _confirmed(state: Judge, rules: Rules) -> Judge:
    """QRM-LEDGER-HEAD: two people compared the ledger's head with paper; now it is judged."""
    if len(state.heads) < len(_confirmers(state)):
        return state
    head = _ledger(state).head
    judged = _judged(state.session, state.taken, state.facts, rules, head)
    verdict = chained(state.session.begun, _ledger(state), judged)
    return replace(state, verdict=verdict, pending=_decided("judge.verdict", verdict))


def _confirmers(state: Judge) -> tuple[tuple[str, str], ...]:
    roles = state.session.policy.roles
    return (
        ("internal witness", roles.internal_witness),
        ("external witness", roles.external_witness),
    )


def _ledger_question(state: Judge) -> Question:
    role, person = _confirmers(state)[len(state.heads)]
    book = _ledger(state)
    last = book.entries[-1] if book.entries else None
    told: tuple[str, ...]
    if last is None:
        told = ("No ledger counts here: right only for the first ceremony under one.",)
    else:
        told = (
            f"Ceremonies before this one  {len(book.entries):,}",
            f"Last  {escaped(last.time)}  {escaped(last.artifact, 30)} {escaped(last.version, 20)}",
        )
    return Question(
        name="judge.ledger",
        role=role,
        persons=(person,),
        shown=(
            *told,
            f"Head  {grouped(book.head[:32])}",
            f"      {grouped(book.head[32:])}",
            *(f"{f.rule}: {f.text}" for f in book.findings if f.rule == ledger.RULE),
            "Compare with the head on the paper of the last ceremony.",
        ),
        prompt="Type CONFIRMED when the ledger's head is the one on paper",
        form=Form.CONFIRM,
        word="CONFIRMED",
    )


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
            f"A builder disagrees. {needed} operators must override by name, or abort.",
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
