"""read_back: the places of the words on the sheet; never the words themselves."""

from __future__ import annotations

from ceremony.engine.read_back import DIGEST_BYTES
from ceremony.states import ReadBack
from ceremony.steps import Step
from tui.parts.lines import FAINT, Line
from tui.parts.view import View, inner
from tui.screens.step import Guide, StepScreen

ACROSS = 4  # words a row, as the sheet is printed


class ReadBackScreen(StepScreen):
    """Where on the paper the asked words stand."""

    STEP = Step.READ_BACK
    GUIDE = Guide(
        what="Words of the image's SHA-256 are typed from a sheet that was printed elsewhere. "
        "The words are not on this machine's screen, and their places are drawn by chance.",
        do=(
            "Take the sheet that came with the announcement, not from this machine.",
            "Read the words at the marked places aloud; another person types them.",
            "Look at the typed words once more, then F9.",
        ),
        cases=(
            ("a word does not agree", "one more try with other places, then it ends."),
            ("there is no sheet", "abort with F10; the image is not compared to anything."),
        ),
    )

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
