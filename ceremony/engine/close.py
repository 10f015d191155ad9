"""close: the log is closed. The checkpoint over all its lines is signed and read aloud."""

from __future__ import annotations

from ceremony.effects import Effect, Publish
from ceremony.engine.order import OutOfStep
from ceremony.events import Event
from ceremony.states import Close, State


def wants(_state: Close) -> Effect:
    """Return what close does: publish, for as long as somebody drives it."""
    return Publish()


def absorb(state: Close, event: Event) -> State:
    """Refuse: no event is legal once the transcript is closed."""
    raise OutOfStep(state, event)
