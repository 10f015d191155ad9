"""open: the policy and its owners' signatures, the roles, and a clock that a witness confirms.

Nothing else is read before the policy holds: a refused policy ends the ceremony here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TypeAlias, assert_never

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from ceremony import policy as policies
from ceremony.blobs import from_blob
from ceremony.clock import typed_time, wall_time
from ceremony.codec import Json
from ceremony.effects import Ask, Begin, Effect, ReadClock, ReadPolicy, Record
from ceremony.engine.endings import refused
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import Rules
from ceremony.errors import Refused, refuse
from ceremony.events import (
    FORMAT,
    Ack,
    Begun,
    ClockRead,
    Decided,
    Event,
    Outcome,
    PolicyRead,
)
from ceremony.policy import Policy
from ceremony.policy_model import Approving
from ceremony.questions import Form, Question
from ceremony.show import escaped, grouped
from ceremony.states import Inventory, Open, Session, State
from ceremony.types import Finding, Mode, Severity, refusals

OpenEvent: TypeAlias = Begun | PolicyRead | ClockRead | Ack | Decided

CLOCK_MINUTE = 60  # seconds a witness who reads hours and minutes may be off


def wants(state: Open) -> Effect:
    """Return what open does next."""
    if state.begun is None:
        return Begin()
    if state.pending:
        return Record(state.pending)
    if state.policy is None:
        return ReadPolicy()
    if state.roles is None:
        return Ask(_roles_question(state.policy))
    if state.clock is None:
        return ReadClock()
    return Ask(_clock_question(state.policy, state.drift))


def absorb(state: Open, event: Event, rules: Rules) -> State:
    """Return the state after one event of this step."""
    if not isinstance(event, OpenEvent):
        raise OutOfStep(state, event)
    if state.pending:
        return _after_decision(state, state.pending, event)
    match event:
        case Begun() if state.begun is None:
            return replace(state, begun=_check_begun(event, rules))
        case PolicyRead() if state.begun and state.read is None:
            return _judge_policy(state, event)
        case Ack() if state.policy and state.roles is None:
            expect_ack(event, _roles_question(state.policy))
            return replace(state, roles=event)
        case ClockRead() if state.roles and state.clock is None:
            wall_time(event.wall)
            return replace(state, clock=event)
        case Ack() if state.policy and state.clock:
            expect_ack(event, _clock_question(state.policy, state.drift))
            return _judge_clock(state, state.policy, state.clock, event)
        case Begun() | PolicyRead() | ClockRead() | Ack() | Decided():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _check_begun(event: Begun, rules: Rules) -> Begun:
    """TRN-RULESET: the rule set the transcript names is one that this tool carries."""
    if event.ruleset != rules.version or event.format != FORMAT:
        raise refuse(
            "TRN-RULESET",
            f"the transcript is of format {escaped(event.format)}, rules {escaped(event.ruleset)}",
        )
    return event


def _judge_policy(state: Open, event: PolicyRead) -> Open:
    """POL-: the policy loads, and enough owners signed these very bytes."""
    data = from_blob(event.policy).data
    policy: Policy | None = None
    facts: Json = {}
    begun = state.begun
    try:
        policy = policies.load(data)
        signatures = tuple(from_blob(blob) for blob in event.signatures)
        findings = policies.check_owners(policy, data, signatures)
        findings += _check_approving(policy, begun)
        facts = {
            "policy_id": policy.policy_id,
            "sequence": policy.sequence,
            "sha256": policy.sha256.hex,
            "ceremony": begun.ceremony if begun else "",
            "mode": str(begun.mode) if begun else "",
        }
    except Refused as error:
        findings = error.findings
    outcome = Outcome.REFUSED if refusals(findings) else Outcome.OK
    decided = Decided("open.policy_verdict", outcome, findings, facts)
    return replace(state, read=event, policy=policy, pending=decided)


def _check_approving(policy: Policy, begun: Begun | None) -> tuple[Finding, ...]:
    """APP-TYPED: outside rehearsals key holders approve with signatures."""
    typed = policy.approvals.by is Approving.TYPED
    if not typed or begun is None or begun.mode is Mode.REHEARSAL:
        return ()
    text = "this policy lets key holders type their approval, in production they sign it"
    return (Finding("APP-TYPED", Severity.REFUSE, text),)


def _judge_clock(state: Open, policy: Policy, clock: ClockRead, told: Ack) -> Open:
    """AIR-CLOCK, POL-WINDOW: machine and witness agree, inside the policy's window."""
    machine = wall_time(clock.wall)
    drift = int(abs((machine - typed_time(told.answer)).total_seconds()))
    most = policy.time.max_drift + CLOCK_MINUTE
    said = f"machine {clock.wall}, witness {told.answer} UTC: {drift} s apart, at most {most}"
    severity = Severity.REFUSE if drift > most else Severity.INFO
    findings = (
        Finding("AIR-CLOCK", severity, said),
        *policies.check_window(policy, machine),
    )
    outcome = Outcome.REFUSED if refusals(findings) else Outcome.OK
    decided = Decided("open.clock_verdict", outcome, findings, {"drift_seconds": drift})
    return replace(state, told=told, pending=decided)


def _after_decision(state: Open, pending: Decided, event: OpenEvent) -> State:
    expect_same(pending, event)
    settled = replace(state, pending=None)
    stops = refusals(pending.findings)
    if not state.admitted:
        return refused(settled, stops) if stops else replace(settled, admitted=True)
    if any(finding.rule != "AIR-CLOCK" for finding in stops):
        return refused(settled, stops)
    if stops:
        return replace(settled, clock=None, told=None, drift=stops)
    return Inventory(_session(settled))


def _session(state: Open) -> Session:
    if not (state.begun and state.read and state.policy and state.clock):
        raise TypeError("a session needs its policy and clock")
    now: datetime = wall_time(state.clock.wall)
    signer = state.policy.signer
    chain = tuple(_der(pem) for pem in signer.chain)
    return Session(state.begun, state.read, state.policy, now, _der(signer.certificate), chain)


def _der(pem: str) -> bytes:
    return load_pem_x509_certificate(pem.encode("ascii")).public_bytes(Encoding.DER)


def _roles_question(policy: Policy) -> Question:
    named = {person.id: person for person in policy.persons}
    roles = policy.roles
    holders = ", ".join(named[p].name for p in roles.key_holders)
    return Question(
        name="open.roles",
        role="internal witness",
        persons=(roles.internal_witness,),
        shown=(
            f"Policy {policy.policy_id}, sequence {policy.sequence}, SHA-256",
            grouped(policy.sha256.hex[:32]),
            grouped(policy.sha256.hex[32:]),
            f"Administrator     {named[roles.administrator].name} ({roles.administrator})",
            f"Internal witness  {named[roles.internal_witness].name} ({roles.internal_witness})",
            f"External witness  {named[roles.external_witness].name} ({roles.external_witness})",
            f"Key holders       {holders}",
        ),
        prompt="Type PRESENT when every person named is in the room",
        form=Form.CONFIRM,
        word="PRESENT",
    )


def _clock_question(policy: Policy, drift: tuple[Finding, ...]) -> Question:
    return Question(
        name="open.clock_read",
        role="internal witness",
        persons=(policy.roles.internal_witness,),
        shown=(
            *(f"{finding.rule}: {finding.text}" for finding in drift),
            "Read the time from YOUR watch or the wall clock, in UTC.",
            "Do not copy it from this screen.",
        ),
        prompt="The time in UTC, as YYYY-MM-DD HH:MM",
        form=Form.TIME,
    )
