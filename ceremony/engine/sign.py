"""sign: token preflight, plan, approvals, PIN, durable intent, C_Sign.

The order is the point: nothing is asked of a person before the token is known to fit; no
PIN is asked for before the plan is approved; the intent with the exact attribute bytes is
on both logs before the token hears of it. A lost token leaves the outcome "unknown",
never "failed": the same intent is signed again as attempt n + 1 (RSA: the same bytes).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, assert_never

from ceremony.effects import (
    Ask,
    Effect,
    FixTime,
    Login,
    MeasureRoom,
    ProbeToken,
    Record,
    SignNow,
)
from ceremony.engine import sign_approvals as approvals
from ceremony.engine import sign_questions as questions
from ceremony.engine import verify
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import Rules
from ceremony.engine.sign_key import asked_again, judge_key
from ceremony.engine.sign_plan import make_plan, plan_decided, request_for
from ceremony.errors import OutOfOrder
from ceremony.events import (
    Ack,
    Decided,
    Event,
    Intended,
    LoggedIn,
    Outcome,
    RoomMeasured,
    Signed,
    TimeFixed,
    TokenFailed,
    TokenProbed,
)
from ceremony.pin_parts import may_have_typed
from ceremony.preflight import preflight
from ceremony.show import counted
from ceremony.signer_chain import judge_chain, judge_image
from ceremony.states import Sign, State
from ceremony.token import TokenEvidence
from ceremony.types import Finding, Severity, refusals

SignEvent: TypeAlias = (
    TokenProbed
    | TokenFailed
    | RoomMeasured
    | TimeFixed
    | LoggedIn
    | Intended
    | Signed
    | Ack
    | Decided
)

LOG_BYTES = 4 * 2**20  # what the transcript may still grow by, generously


def wants(state: Sign) -> Effect:
    """Return what sign does next."""
    policy = state.ready.session.policy
    if state.pending:
        return Record(state.pending)
    if state.lost or (state.result and state.result.result.outcome != "signed"):
        return Ask(questions.unknown(state))
    if state.trouble or (state.decided and state.decided.outcome is not Outcome.OK):
        return Ask(questions.again(state))
    if state.doubted:
        return Ask(approvals.time_stands(state))
    if state.token is None:
        return ProbeToken(state.ready.session.certificate, policy.signer.uri)
    if state.room is None:
        return MeasureRoom()
    if state.time is None:
        return FixTime()
    if len(state.approvals) < policy.approvals.threshold:
        return Ask(approvals.approve(state))
    if state.login is None:
        return _before_login(state, state.token.evidence)
    if not state.logged_in:
        return Ask(questions.pin_again(state, state.login))
    if state.intent is None:
        return Record(_intent(state))
    return SignNow(request_for(state, state.intent), asked_again(state))


def _before_login(state: Sign, evidence: TokenEvidence) -> Effect:
    if evidence.pin_state == "final-try" and not state.last_try:
        return Ask(questions.last_try(state))
    return Login(
        persons=state.ready.session.policy.roles.key_holders,
        shown=questions.last_look(state, evidence),
        pin_state=evidence.pin_state,
        protected_path=evidence.protected_path,
        part=state.ready.session.policy.signer.first_part,
    )


def interrupted(state: Sign) -> Sign:
    """Return what is left after the process ended: session gone, a sent intent unknown."""
    lost = state.lost or (state.intent is not None and state.result is None)
    doubted = state.time is not None and state.intent is None
    return replace(_unplugged(state), lost=lost, doubted=doubted)


def _unplugged(state: Sign) -> Sign:
    """Return the state with everything forgotten that only a live token session knows."""
    return replace(
        state,
        token=None,
        room=None,
        trouble=None,
        pending=state.pending if state.pending and state.pending.name == "sign.plan" else None,
        decided=None,
        login=None,
        logged_in=False,
        last_try=False,
    )


def absorb(state: Sign, event: Event, rules: Rules) -> State:
    """Return the state after one event of this step."""
    if not isinstance(event, SignEvent):
        raise OutOfStep(state, event)
    match event:
        case Decided() if state.pending:
            expect_same(state.pending, event)
            return _after_decision(state, state.pending)
        case _ if state.pending:
            raise OutOfStep(state, event)
        case TokenProbed() | TokenFailed() | RoomMeasured() | TimeFixed():
            return _observed(state, event, rules)
        case LoggedIn():
            return _logged_in(state, event)
        case Intended():
            expect_same(_expected_intent(state, event), event)
            return replace(state, intent=event)
        case Signed():
            return _result(state, event, rules)
        case Ack():
            return _acked(state, event)
        case Decided():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _observed(
    state: Sign, event: TokenProbed | TokenFailed | RoomMeasured | TimeFixed, rules: Rules
) -> Sign:
    wanted = wants(state)
    match event:
        case TokenProbed() if isinstance(wanted, ProbeToken):
            return replace(state, token=event)
        case TokenFailed() if isinstance(wanted, ProbeToken | Login):
            return replace(state, trouble=event)
        case RoomMeasured() if isinstance(wanted, MeasureRoom) and state.token:
            measured = replace(state, room=event)
            pending = _judge_token(measured, state.token.evidence, "sign.preflight", event)
            return replace(measured, pending=pending)
        case TimeFixed() if isinstance(wanted, FixTime):
            plan = make_plan(state, event, rules)
            pending, stated = plan_decided(state, event, plan)
            still = approvals.kept(state, stated)
            fixed = replace(state, time=event, plan=plan, stated=stated, approvals=still)
            return replace(fixed, pending=pending)
        case TokenProbed() | TokenFailed() | RoomMeasured() | TimeFixed():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _judge_token(
    state: Sign, evidence: TokenEvidence, name: str, room: RoomMeasured | None
) -> Decided:
    """KEY-, MED-SPACE, MED-OUTPUT: the token fits and there is room, before any signature."""
    session = state.ready.session
    signer, mode = session.policy.signer, session.begun.mode
    findings = preflight(evidence, session.certificate, session.now, mode, signer.mechanisms)
    findings += judge_chain(session.certificate, session.chain, signer.dbx, session.now)
    findings += judge_image(state.ready.approved.facts.authenticode, signer.dbx)
    if room:
        findings += _judge_room(state, room)
    more, facts = judge_key(state, evidence)
    findings += more
    outcome = Outcome.REFUSED if refusals(findings) else Outcome.OK
    return Decided(name, outcome, findings, facts)


def _judge_room(state: Sign, room: RoomMeasured) -> tuple[Finding, ...]:
    needed = state.ready.taken.image.size * 2 + LOG_BYTES
    findings = []
    if room.output_free < needed:
        text = f"the output medium has {counted(room.output_free)} free, {needed:,} are needed"
        findings.append(Finding("MED-SPACE", Severity.REFUSE, text))
    findings += [
        Finding(
            "MED-SPACE",
            Severity.REFUSE,
            f"log medium {place} has {counted(free)} free, {LOG_BYTES:,} are needed",
        )
        for place, free in enumerate(room.log_free, start=1)
        if free < LOG_BYTES
    ]
    if not room.output_empty:
        findings.append(
            Finding("MED-OUTPUT", Severity.REFUSE, "the output folder is not empty any more")
        )
    return tuple(findings)


def _after_decision(state: Sign, decided: Decided) -> Sign:
    settled = replace(state, pending=None)
    match decided.name:
        case "sign.plan" if decided.outcome is Outcome.OK:
            return settled
        case "sign.plan":
            return replace(settled, decided=decided, time=None, stated=None)
        case "sign.login_verdict":
            ok = decided.outcome is Outcome.OK
            return replace(settled, logged_in=ok, decided=decided)
        case _:
            return replace(settled, decided=decided)


def _logged_in(state: Sign, event: LoggedIn) -> Sign:
    wanted = wants(state)
    if not isinstance(wanted, Login):
        raise OutOfStep(state, event)
    if not may_have_typed(event.persons, wanted.persons, wanted.part):
        raise OutOfStep(state, event)
    after = replace(state, login=event)
    if event.result.outcome != "ok" or event.result.evidence is None:
        return after
    pending = _judge_token(after, event.result.evidence, "sign.login_verdict", None)
    return replace(after, pending=pending)


def _intent(state: Sign) -> Intended:
    if state.plan is None or state.time is None or state.stated is None:
        raise OutOfOrder("there is no plan to intend")
    request = request_for(state, None)
    return Intended(
        attempt=state.attempt,
        authenticode=state.plan.authenticode.hex,
        spki_sha256=request.spki_sha256,
        mechanism=request.mechanism,
        signing_time=state.time.wall,
        attributes=state.plan.attributes.hex(),
        plan_sha256=state.stated.sha256,
    )


def _expected_intent(state: Sign, event: Intended) -> Intended:
    wanted = wants(state)
    if isinstance(wanted, Record) and isinstance(wanted.event, Intended):
        return wanted.event
    raise OutOfStep(state, event)


def _result(state: Sign, event: Signed, rules: Rules) -> State:
    if not isinstance(wants(state), SignNow) or event.attempt != state.attempt:
        raise OutOfStep(state, event)
    if event.result.outcome != "signed" or state.plan is None:
        return replace(state, result=event)
    signature = bytes.fromhex(event.result.signature)
    return verify.enter(state.ready, state.plan, signature, rules, state.attempt)


def _acked(state: Sign, ack: Ack) -> Sign:
    wanted = wants(state)
    if not isinstance(wanted, Ask):
        raise OutOfStep(state, ack)
    expect_ack(ack, wanted.question)
    match ack.name:
        case "sign.approve":
            return approvals.taken(state, ack)
        case "sign.time_stands":
            return approvals.after_doubt(state, ack)
        case "sign.last_try":
            return replace(state, last_try=True)
        case "sign.pin_again":
            return _unplugged(state)
        case "sign.unknown":
            fresh = _unplugged(state)
            return replace(fresh, intent=None, result=None, lost=False, attempt=state.attempt + 1)
        case _:
            return _unplugged(state)
