"""What a screen draws: one frozen view of the state, the question and what was recorded.

Screens own no facts; they are given a View and draw it. Nothing here knows Textual.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from ceremony.effects import Login
from ceremony.events import Begun, Event, Outcome
from ceremony.policy import Policy
from ceremony.ports import Progress
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
from ceremony.steps import Step
from ceremony.types import Finding, Mode
from transcripts.checkpoint import Head
from tui.console import Blocks
from tui.faces import Closing
from tui.parts.qr import Code

MOST_KEPT = 200  # recorded events that F2 can show; all of them stand in the transcript

Wanted: TypeAlias = Question | Login | Closing


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded event and the head over all lines up to it."""

    event: Event
    head: Head


@dataclass(frozen=True, slots=True)
class View:
    """All that a screen may draw. `held` says that an interruption waits to be recorded.

    `stopped` is the last step that was reached before the seal; `doing` says what people
    do while nothing is asked here.
    """

    state: State
    clock: str = ""
    mode: Mode | None = None
    stopped: Step | None = None
    wanted: Wanted | None = None
    progress: Progress | None = None
    doing: str = ""
    findings: tuple[Finding, ...] = ()
    recorded: tuple[Entry, ...] = ()
    held: str = ""
    code: Code | None = None
    blocks: Blocks = Blocks.CELLS

    @property
    def step(self) -> Step:
        """Return the step that is drawn."""
        return self.state.step

    @property
    def head(self) -> Head | None:
        """Return the head over all lines so far."""
        if isinstance(self.wanted, Closing):
            return self.wanted.head
        return self.recorded[-1].head if self.recorded else None

    @property
    def ceremony(self) -> str:
        """Return the first eight hex digits of the ceremony's id."""
        begun = begun_of(self.state)
        return begun.ceremony[:8] if begun else "--------"

    @property
    def persons(self) -> tuple[str, ...]:
        """Return who may answer what is wanted."""
        if isinstance(self.wanted, Question) and self.wanted.form is Form.SIGNATURE:
            return ()  # the key says whose approval it is
        return self.wanted.persons if isinstance(self.wanted, Question | Login) else ()

    @property
    def known(self) -> tuple[str, ...]:
        """Return the ids of the persons that the policy names; empty while there is none."""
        policy = policy_of(self.state)
        return tuple(person.id for person in policy.persons) if policy else ()

    @property
    def dangerous(self) -> bool:
        """Tell whether the answer leads to a signature: then keys are live only after a while."""
        match self.wanted:
            case Login():
                return True
            case Question(name=name):
                return name.startswith("sign.")
            case _:
                return False

    @property
    def closed(self) -> bool:
        """Tell whether nothing is recorded any more."""
        return isinstance(self.state, Close)

    def told(self, state: State) -> View:
        """Return the view of another state: no act is under way, nothing is wanted yet."""
        ending = state.step in (Step.SEAL, Step.CLOSE)
        stopped = self.stopped if ending else state.step
        return replace(self, state=state, stopped=stopped, wanted=None, progress=None, doing="")

    def with_event(self, event: Event, head: Head) -> View:
        """Return the view after one more event is on every log."""
        kept = (*self.recorded, Entry(event, head))[-MOST_KEPT:]
        return replace(self, recorded=kept)

    def marks(self) -> Iterator[tuple[Step, str]]:
        """Yield every step and how it stands: done, here, failed, skipped or "" to come."""
        here = self.step.number
        outcome = self.state.outcome if isinstance(self.state, Seal | Close) else Outcome.OK
        good = outcome in (Outcome.OK, Outcome.DISPUTED)
        stopped = self.stopped.number if self.stopped else 1
        for step in Step:
            if step.number == here:
                yield step, "here"
            elif step.number > here:
                yield step, ""
            elif good or step.number < stopped or step is Step.SEAL:
                yield step, "done"
            else:
                yield step, "failed" if step.number == stopped else "skipped"


def inner(state: State) -> StepState:
    """Return the step's own state, also of a ceremony that is being resumed."""
    return state.inner if isinstance(state, Resumed) else state


def begun_of(state: State) -> Begun | None:
    """Return the ceremony's first line, None before it stands."""
    match inner(state):
        case Open() as opening:
            return opening.begun
        case Inventory(session=s) | Ingest(session=s) | Inspect(session=s):
            return s.begun
        case Judge(session=s) | ReadBack(session=s):
            return s.begun
        case Sign(ready=ready) | Verify(ready=ready):
            return ready.session.begun
        case Seal(begun=begun) | Close(begun=begun):
            return begun
        case other:
            assert_never(other)


def policy_of(state: State) -> Policy | None:
    """Return the policy, once its owners' signatures were found good."""
    match inner(state):
        case Open() as opening:
            return opening.policy if opening.admitted else None
        case Inventory(session=s) | Ingest(session=s) | Inspect(session=s):
            return s.policy
        case Judge(session=s) | ReadBack(session=s):
            return s.policy
        case Sign(ready=ready) | Verify(ready=ready):
            return ready.session.policy
        case Seal(policy=policy) | Close(policy=policy):
            return policy
        case other:
            assert_never(other)
