"""A step whose last page is a QR code: it takes the whole body and is turned to like a page."""

from __future__ import annotations

from itertools import groupby
from typing import ClassVar

from textual.content import Content
from textual.widgets import Static

from tui.parts.lines import ASKED, GOOD, wrap
from tui.parts.qr import Cell, Code
from tui.parts.view import View
from tui.screens.step import StepScreen

SIDE_GAP = 2


class CodedScreen(StepScreen):
    """The base of the screens that show a code; CODE_OF says of what."""

    coded = False
    CODE_OF: ClassVar[str]

    def show(self, view: View) -> None:
        """Draw the frame, and the code."""
        super().show(view)
        if self._composed and view.code is not None:
            width = self.query_one("#middle").size.width - self.query_one("#steps").outer_size.width
            self.query_one("#code", Static).update(code_page(view.code, width, self.CODE_OF))

    def action_turn(self, pages: int) -> None:
        """Turn the page; behind the last one is the code."""
        if pages < 0 and self.coded:
            self._show_code(shown=False)
        elif pages > 0 and self.page.at_end and self.view.code and self.view.code.cells:
            self._show_code(shown=True)
        else:
            super().action_turn(pages)

    def _show_code(self, *, shown: bool) -> None:
        self.coded = shown
        self.set_class(shown, "-code")
        if not shown:
            self.asking.focus_answer()

    def action_go_on(self) -> None:
        """Offer what was typed; on the code's page only go back."""
        if self.coded:
            self._show_code(shown=False)
        else:
            super().action_go_on()


def code_page(code: Code, width: int, what: str) -> Content:
    """Return the code, and beside it what was read back and how to go on."""
    side = width - (len(code.cells[0]) if code.cells else 0) - SIDE_GAP
    texts = (
        f"QR code of {what}, {len(code.text)} bytes, version {code.version}",
        code.said,
        "PageUp: the page before",
    )
    said = [row for text in texts for row in (*wrap(text, side, hang=0), "")]
    drawn = [_row(row) for row in code.cells]
    if drawn and any(len(row) > side for row in said):  # a wrapped row would tear the code
        return Content("\n").join(drawn)
    text = [
        Content.styled("  " + line, GOOD if code.equal and line in code.said else ASKED)
        for line in said
    ]
    text += [Content("")] * (len(drawn) - len(text))
    beside = [row + line for row, line in zip(drawn, text, strict=False)]
    return Content("\n").join(beside or text)


def _row(cells: tuple[Cell, ...]) -> Content:
    """Return one row of cells, runs of the same colours together."""
    runs = groupby(cells, key=lambda cell: (cell.ink, cell.ground))
    return Content("").join(
        Content.styled("".join(cell.glyph for cell in run), f"{_colour(ink)} on {_colour(ground)}")
        for (ink, ground), run in runs
    )


def _colour(light: bool) -> str:  # noqa: FBT001 - one module
    return "ansi_bright_white" if light else "ansi_black"
