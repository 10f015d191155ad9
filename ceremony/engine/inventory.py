"""inventory: the machine describes itself; what the policy does not allow must go first."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, assert_never

from ceremony.codec import encode
from ceremony.effects import Ask, Effect, Record, Survey
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import Rules
from ceremony.events import Ack, Decided, Event, MachineSurveyed, Outcome
from ceremony.machine import MachineRules, check_machine
from ceremony.questions import Form, Question
from ceremony.states import Ingest, Inventory, State
from ceremony.types import refusals

InventoryEvent: TypeAlias = MachineSurveyed | Ack | Decided


def wants(state: Inventory) -> Effect:
    """Return what inventory does next."""
    if state.pending:
        return Record(state.pending)
    if state.survey is None or state.decided is None:
        return Survey()
    return Ask(_question(state, state.decided))


def absorb(state: Inventory, event: Event, _rules: Rules) -> State:
    """Return the state after one event of this step."""
    if not isinstance(event, InventoryEvent):
        raise OutOfStep(state, event)
    match event:
        case MachineSurveyed() if state.survey is None:
            return replace(state, survey=event, pending=_judge(state, event))
        case Decided() if state.pending:
            expect_same(state.pending, event)
            return replace(state, pending=None, decided=event)
        case Ack() if state.decided and not state.pending:
            expect_ack(event, _question(state, state.decided))
            if state.decided.outcome is Outcome.OK:
                return Ingest(state.session)
            return Inventory(state.session)
        case MachineSurveyed() | Decided() | Ack():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _judge(state: Inventory, event: MachineSurveyed) -> Decided:
    """AIR-: interfaces, swap and disks against the policy's [machine] table."""
    topics = state.session.policy.machine
    rules = MachineRules(topics.network, topics.swap, topics.block_devices)
    findings = check_machine(event.machine, rules)
    outcome = Outcome.REFUSED if refusals(findings) else Outcome.OK
    return Decided("inventory.verdict", outcome, findings, {"rules": encode(rules)})


def _question(state: Inventory, decided: Decided) -> Question:
    roles = state.session.policy.roles
    shown = tuple(f"{f.severity:<6} {f.rule}: {f.text}" for f in decided.findings)
    if decided.outcome is Outcome.OK:
        return Question(
            name="inventory.seen",
            role="internal witness",
            persons=(roles.internal_witness,),
            shown=shown,
            prompt="Type SEEN when this is the machine in front of you",
            form=Form.CONFIRM,
            word="SEEN",
        )
    return Question(
        name="inventory.again",
        role="administrator",
        persons=(roles.administrator,),
        shown=(*shown, "Remove what is refused. Nothing goes on before it is gone."),
        prompt="Type SCAN to look again",
        form=Form.CONFIRM,
        word="SCAN",
    )
