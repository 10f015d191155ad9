"""seal: the outputs, and every role's word on the record."""

from __future__ import annotations

from ceremony.events import Outcome
from ceremony.questions import agrees
from ceremony.states import Seal
from ceremony.steps import Step
from tui.guides import GUIDES
from tui.parts.lines import BAD, BAD_MARK, DONE, GOOD, NOTE, Line
from tui.parts.notice import findings_lines
from tui.parts.view import View, inner
from tui.screens.step import StepScreen


class SealScreen(StepScreen):
    """How it came out, and who agrees with the record."""

    STEP = Step.SEAL
    GUIDE = GUIDES[Step.SEAL]

    def before(self, view: View) -> tuple[Line, ...]:
        """Draw the outcome, why, and the statements so far."""
        state = inner(view.state)
        if not isinstance(state, Seal):
            return ()
        good = state.outcome is Outcome.OK
        outcome = () if good else (Line(f"{BAD_MARK} Outcome: {state.outcome}", BAD),)
        return (
            *outcome,
            *findings_lines(state.why),
            *(
                Line(f"{DONE} {ack.person} ({ack.role}) agrees", GOOD)
                if agrees(ack.answer)
                else Line(f"{NOTE} {ack.person} ({ack.role}): {ack.answer}", BAD)
                for ack in state.statements
            ),
        )
