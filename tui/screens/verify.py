"""verify: the signed image is read from nothing before it is put out."""

from __future__ import annotations

from ceremony.questions import Question
from ceremony.show import counted, grouped
from ceremony.states import Verify
from ceremony.steps import Step
from tui.guides import GUIDES
from tui.parts.lines import DONE, GOOD, Line
from tui.parts.view import View, inner
from tui.screens.step import StepScreen


class VerifyScreen(StepScreen):
    """What our own verifier and another one say."""

    STEP = Step.VERIFY
    GUIDE = GUIDES[Step.VERIFY]

    def before(self, view: View) -> tuple[Line, ...]:
        """Draw what was assembled and what was said of it."""
        state = inner(view.state)
        if (
            not isinstance(state, Verify)
            or state.image is None
            or isinstance(view.wanted, Question)
        ):  # the question itself shows it all
            return ()
        digest = state.image.sha256.hex
        lines = [
            Line(f"Signed    {counted(state.image.size)}"),
            Line(f"SHA-256   {grouped(digest[:32])}"),
            Line(f"          {grouped(digest[32:])}"),
        ]
        if state.signed:
            lines.append(Line(f"{DONE} this tool's verifier accepts it", GOOD))
        return tuple(lines)
