"""read_back: the places of the words on the sheet; never the words themselves."""

from __future__ import annotations

from ceremony.engine.read_back import DIGEST_BYTES
from ceremony.states import ReadBack
from ceremony.steps import Step
from tui.guides import GUIDES
from tui.parts.lines import FAINT, Line
from tui.parts.view import View, inner
from tui.screens.step import StepScreen

ACROSS = 4  # words a row, as the sheet is printed


class ReadBackScreen(StepScreen):
    """Where on the paper the asked words stand."""

    STEP = Step.READ_BACK
    GUIDE = GUIDES[Step.READ_BACK]

    def after(self, view: View) -> tuple[Line, ...]:
        """Draw the sheet's eight rows of four, the asked places by their number."""
        state = inner(view.state)
        if not isinstance(state, ReadBack) or state.drawn is None:
            return ()
        asked = state.drawn.positions
        rows = tuple(range(first, first + ACROSS) for first in range(1, DIGEST_BYTES + 1, ACROSS))
        return tuple(
            Line("   ".join(f"[word {p:2d}]" if p in asked else "    .    " for p in row), FAINT)
            for row in rows
        )
