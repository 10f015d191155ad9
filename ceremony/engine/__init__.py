"""The ceremony's state machine: step(state, event, rules) -> (state, effects), pure and total.

Theory of operation. A driver keeps one state. It asks `wants(state)` what to do next, does
it through a port (ask a person, read a medium, use the token), appends the resulting event
to the journal, and hands that event to `step`. Decisions and intents are events too: the
engine determines them, the driver records them and hands them back, and `step` compares
them with what it determined. Replay is the same loop with the recorded events, so it
recomputes every decision; resuming is the same loop with the recorded events first.

Four events are legal in every step: an exception is noted, the ceremony is aborted, the
screen was locked, the process was restarted. Any other event is legal in the step whose
word its name begins with, when the state waits for it; OutOfOrder leaves the state as is.
"""

from __future__ import annotations

from typing import assert_never

from ceremony.effects import Ask, Effect
from ceremony.engine import (
    close,
    ingest,
    inspect,
    inventory,
    judge,
    open,  # noqa: A004 - the step's word
    read_back,
    seal,
    sign,
    verify,
)
from ceremony.engine.endings import aborted
from ceremony.engine.order import OutOfStep, expect_ack
from ceremony.engine.rules import RULESET, Rules
from ceremony.errors import OutOfOrder
from ceremony.events import Aborted, Ack, Event, Excepted, Locked, Recovered
from ceremony.known import known
from ceremony.questions import Form, Question
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
from ceremony.types import Mode

__all__ = [
    "RULESET",
    "OutOfStep",
    "Rules",
    "advance",
    "begin",
    "fold",
    "policy_of",
    "step",
    "wants",
]


def begin() -> State:
    """Return the state before the first line."""
    return Open()


def step(state: State, event: Event, rules: Rules) -> tuple[State, tuple[Effect, ...]]:
    """Return the state after `event` and what is wanted next; OutOfOrder if it is not legal."""
    after = advance(state, event, rules)
    return after, wants(after, rules)


def advance(state: State, event: Event, rules: Rules) -> State:
    """Return the state after `event`, where nobody asks what is wanted next."""
    return _absorb(state, event, rules)


def fold(events: tuple[Event, ...], rules: Rules) -> State:
    """Return the state that a whole list of events leads to."""
    state = begin()
    for event in events:
        state = _absorb(state, event, rules)
    return state


def _absorb(state: State, event: Event, rules: Rules) -> State:
    match event:
        case Excepted() | Locked():
            _still_open(state)
            return state
        case Aborted():
            _still_open(state)
            return aborted(state.inner if isinstance(state, Resumed) else state, event)
        case Recovered():
            _still_open(state)
            inner = state.inner if isinstance(state, Resumed) else state
            return Resumed(_interrupted(inner), event)
        case _:
            pass
    if isinstance(state, Resumed):
        return _resume(state, event)
    return _absorb_in_step(state, event, rules)


def _still_open(state: State) -> None:
    if isinstance(state, Close):
        raise OutOfOrder("the transcript is closed; nothing is appended to it any more")
    if isinstance(state, Open) and state.begun is None:
        raise OutOfOrder("the ceremony has not begun")


def _interrupted(state: StepState) -> StepState:
    """Return what is left of a state when the process ended: a token session is lost."""
    return sign.interrupted(state) if isinstance(state, Sign) else state


def _resume(state: Resumed, event: Event) -> State:
    if not isinstance(event, Ack):
        raise OutOfStep(state, event)
    expect_ack(event, resume_question(state))
    return state.inner


def resume_question(state: Resumed) -> Question:
    """Ask the internal witness to confirm that the interrupted ceremony goes on."""
    begun, policy = known(state.inner)
    event = state.event
    held = "rehearsal" if begun and begun.mode is Mode.REHEARSAL else "ceremony"
    other = begun is not None and event.tool_sha256 != begun.tool_sha256
    mended = [f"Set aside {item}" for item in event.torn]
    mended += [f"Written again {item}" for item in event.repaired]
    return Question(
        name="ceremony.resume",
        role="internal witness",
        # Before a policy holds, nobody is named yet.
        persons=(policy.roles.internal_witness if policy else "witness",),
        shown=(
            f"This {held} was interrupted and is resumed.",
            f"Lines so far: {event.lines}. The step is {state.step.heading}. The head words were",
            f"    {event.head}",
            "Compare both with the last ones on the witness's paper.",
            *mended,
            *(("ANOTHER PROGRAM resumes it: " + event.tool,) if other else ()),
        ),
        prompt="Type RESUME when they agree",
        form=Form.CONFIRM,
        word="RESUME",
    )


def _absorb_in_step(state: StepState, event: Event, rules: Rules) -> State:
    match state:
        case Open():
            return open.absorb(state, event, rules)
        case Inventory():
            return inventory.absorb(state, event, rules)
        case Ingest():
            return ingest.absorb(state, event, rules)
        case Inspect():
            return inspect.absorb(state, event, rules)
        case Judge():
            return judge.absorb(state, event, rules)
        case ReadBack():
            return read_back.absorb(state, event, rules)
        case Sign():
            return sign.absorb(state, event, rules)
        case Verify():
            return verify.absorb(state, event, rules)
        case Seal():
            return seal.absorb(state, event, rules)
        case Close():
            return close.absorb(state, event)
        case _:
            assert_never(state)


def wants(state: State, rules: Rules) -> tuple[Effect, ...]:
    """Return what is to be done next in `state`; empty only when the ceremony is over."""
    match state:
        case Resumed():
            return (Ask(resume_question(state)),)
        case Open():
            return (open.wants(state),)
        case Inventory():
            return (inventory.wants(state),)
        case Ingest():
            return (ingest.wants(state),)
        case Inspect():
            return (inspect.wants(state),)
        case Judge():
            return (judge.wants(state),)
        case ReadBack():
            return (read_back.wants(state),)
        case Sign():
            return (sign.wants(state),)
        case Verify():
            return (verify.wants(state),)
        case Seal():
            return (seal.wants(state, rules),)
        case Close():
            return (close.wants(state),)
        case _:
            assert_never(state)
