"""How a ceremony leaves its path: refused by a rule, or aborted by a person."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from ceremony.errors import OutOfOrder
from ceremony.events import Aborted, Outcome
from ceremony.show import escaped
from ceremony.states import (
    Close,
    Ingest,
    Inspect,
    Inventory,
    Judge,
    Open,
    ReadBack,
    Seal,
    Sign,
    StepState,
    Verify,
)
from ceremony.types import Finding, Severity


def refused(state: StepState, why: tuple[Finding, ...]) -> Seal:
    """Return the seal of a ceremony that a rule ended."""
    return leave(state, Outcome.REFUSED, why)


def aborted(state: StepState, event: Aborted) -> Seal:
    """Return the seal of a ceremony that a person ended; a signature made stays recorded."""
    said = Finding("APP-ABORT", Severity.WARN, f"{event.person} aborted: {escaped(event.reason)}")
    return leave(state, Outcome.ABORTED, (said,))


def leave(state: StepState, outcome: Outcome, why: tuple[Finding, ...]) -> Seal:
    """Return the Seal that holds what `state` had come to know."""
    match state:
        case Open():
            if state.begun is None:
                raise OutOfOrder("the ceremony has not begun")
            policy = state.policy if state.admitted else None
            return Seal(state.begun, state.read, policy, None, None, outcome, why)
        case Inventory() | Ingest():
            s = state.session
            return Seal(s.begun, s.read, s.policy, None, None, outcome, why)
        case Inspect() | Judge() | ReadBack():
            s = state.session
            return Seal(s.begun, s.read, s.policy, state.taken, None, outcome, why)
        case Sign() | Verify():
            s = state.ready.session
            return Seal(s.begun, s.read, s.policy, state.ready.taken, None, outcome, why)
        case Seal() if state.settled:
            return replace(state, outcome=outcome, why=why, pending=None)
        case Seal() if state.outcome is Outcome.ABORTED and state.failed:
            # Not even the record's own outputs can be written: it is closed without any.
            return replace(state, settled=True, failed=None, written=None, why=state.why + why)
        case Seal():
            # Outputs that do not stand yet are not put out any more, and are intended anew.
            fresh = Seal(state.begun, state.read, state.policy, state.taken, None, outcome, why)
            names = tuple(f.name for f in state.intent.files) if state.intent else ()
            earlier = tuple(dict.fromkeys(state.earlier + names))
            return replace(fresh, statements=state.statements, earlier=earlier)
        case Close():
            raise OutOfOrder("the transcript is closed")
        case _:
            assert_never(state)
