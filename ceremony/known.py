"""What every state knows of its ceremony: how it began and under which policy.

The one place that walks the states for it; the engine asks when a ceremony is resumed, faces
for what stands on top of a screen. A policy is known once its owners' signatures were good.
"""

from __future__ import annotations

from typing import assert_never

from ceremony.events import Begun
from ceremony.policy import Policy
from ceremony.states import (
    Close,
    Ingest,
    Inspect,
    Inventory,
    Judge,
    Open,
    ReadBack,
    Resumed,
    Seal,
    Sign,
    State,
    StepState,
    Verify,
)


def known(state: StepState) -> tuple[Begun | None, Policy | None]:
    """Return the first line, and the policy once its owners' signatures were found good."""
    match state:
        case Open():
            return state.begun, state.policy if state.admitted else None
        case Seal() | Close():
            return state.begun, state.policy
        case Inventory() | Ingest() | Inspect() | Judge() | ReadBack():
            return state.session.begun, state.session.policy
        case Sign() | Verify():
            return state.ready.session.begun, state.ready.session.policy
        case _:
            assert_never(state)


def policy_of(state: State) -> Policy | None:
    """Return the policy that a state was reached under, also one that was not admitted yet."""
    inner = state.inner if isinstance(state, Resumed) else state
    return inner.policy if isinstance(inner, Open) else known(inner)[1]
