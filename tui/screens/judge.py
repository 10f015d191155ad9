"""judge: the matrix of builders, and every attestation's disposition."""

from __future__ import annotations

from ceremony.engine.judge import awaits_ledger
from ceremony.show import escaped
from ceremony.states import Judge
from ceremony.steps import Step
from ceremony.verdicts import Judgement, Part, Row
from tui.guides import GUIDES
from tui.parts.lines import BAD, BAD_MARK, DONE, GOOD, NOT_DONE, NOTE, STRONG, Line
from tui.parts.view import View, inner
from tui.screens.step import StepScreen

MARKS = {"counted": (DONE, GOOD), "weak": (NOTE, ""), "dissent": (BAD_MARK, BAD)}
COLUMNS = (10, 12, 12, 8, 11)


class JudgeScreen(StepScreen):
    """Who built these bytes, who built others, and who says nothing."""

    STEP = Step.JUDGE
    GUIDE = GUIDES[Step.JUDGE]

    def before(self, view: View) -> tuple[Line, ...]:
        """Draw the matrix."""
        state = inner(view.state)
        if not isinstance(state, Judge):
            return ()
        if awaits_ledger(state):
            return (Line("Nothing is counted before the ledger's head is confirmed.", STRONG),)
        verdict = state.verdict
        style = GOOD if verdict.verdict is Judgement.ACCEPT else BAD
        weak = f", {verdict.weak} of them weak" if verdict.weak else ""
        return (
            Line(f"{verdict.votes} independent votes{weak}: {verdict.verdict}", style),
            Line("  " + _columns("Builder", "Organisation", "Isolation", "Says", "Vote"), STRONG),
            *(_row(row) for row in verdict.matrix),
            *(_part(part) for part in verdict.components),
        )


def _part(part: Part) -> Line:
    text = f"Component {escaped(part.component, 40)}: {part.votes} independent votes of its own"
    return Line(text, STRONG)


def _row(row: Row) -> Line:
    mark, style = MARKS.get(row.disposition, (NOT_DONE, ""))
    says = {"match": "same", "missing": "nothing"}.get(row.answer, f"other {row.variant}")
    vote = row.disposition or "none"
    cells = (row.builder, row.organisation, row.isolation, says, vote)
    return Line(f"{mark} {_columns(*(escaped(cell, 40) for cell in cells))}", style)


def _columns(*cells: str) -> str:
    return " ".join(
        f"{cell[:width]:<{width}}" for cell, width in zip(cells, COLUMNS, strict=True)
    ).rstrip()
