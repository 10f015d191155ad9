"""close: the checkpoint as hex, words and QR code, and the signatures over it.

Page by page: hex and words, then how it came out and the outputs, then the QR code, which
takes the whole body.
"""

from __future__ import annotations

from itertools import groupby

from textual.content import Content
from textual.widgets import Static

from ceremony.events import Outcome
from ceremony.show import counted, grouped
from ceremony.steps import Step
from ceremony.words import rows
from tui.faces import Closing
from tui.guides import GUIDES
from tui.parts import dialogs, messages
from tui.parts.lines import ASKED, BAD, BAD_MARK, DONE, GOOD, STRONG, Line, wrap
from tui.parts.notice import findings_lines
from tui.parts.qr import Cell, Code
from tui.parts.view import View
from tui.screens.step import StepScreen

SIDE_GAP = 2


class CloseScreen(StepScreen):
    """What people sign, print, read aloud and take a picture of."""

    STEP = Step.CLOSE
    GUIDE = GUIDES[Step.CLOSE]
    KEYS = (
        ("F1", "Help"),
        ("F2", "Record"),
        ("F8", "Lock"),
        ("PageDown", "QR code"),
        ("F9", "Go on"),
        ("F10", "Leave"),
    )
    coded = False

    def before(self, view: View) -> tuple[Line, ...]:
        """Draw the root in hex and words, the checkpoint, the outcome, the outputs."""
        closing = view.wanted
        if not isinstance(closing, Closing):
            return ()
        digits = closing.head.root.hex()
        good = closing.outcome is Outcome.OK
        signed = f": {', '.join(closing.signed)}" if closing.signed else ""
        code = view.code.said if view.code else "not made"
        paged = ", PageDown shows it" if view.code and view.code.cells else ""
        outputs = sum(file.size for file in closing.files)
        return (
            Line(
                f"{len(closing.signed)} of {closing.needed} witnesses signed it{signed}",
                GOOD if closing.enough else ASKED,
            ),
            Line(f"Root  {grouped(digits[:32])}"),
            Line(f"      {grouped(digits[32:])}"),
            *(Line(row, STRONG) for row in rows(closing.head.root)),
            Line(f"{DONE if good else BAD_MARK} Outcome: {closing.outcome}", GOOD if good else BAD),
            Line(f"QR code {code}{paged}", ASKED),
            *findings_lines(closing.why),
            Line(f"Outputs {len(closing.files)} files, {counted(outputs)}"),
            Line(f"Sign    {closing.checkpoint}"),
            *(Line(f"  {text}") for text in closing.head.text.decode("ascii").splitlines()),
        )

    def show(self, view: View) -> None:
        """Draw the frame, and the code."""
        super().show(view)
        if self._composed and view.code is not None:
            width = self.query_one("#middle").size.width - self.query_one("#steps").outer_size.width
            self.query_one("#code", Static).update(code_page(view.code, width))

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

    def action_abort(self) -> None:
        """Let a person leave before enough have signed, or before they confirmed the record."""
        if self.view.wanted is None:
            self.asking.hint("The machine works. F10 leaves once something is asked.")
            return
        lines = (
            Line("The transcript is closed; it cannot be aborted any more."),
            Line("Without enough countersignatures the bundle is INCOMPLETE."),
            Line("Started again, the same command comes back to this screen."),
        )
        self.app.push_screen(dialogs.LeaveSheet(self.view, lines), self._left)

    def _left(self, leave: bool | None) -> None:  # noqa: FBT001 - the dialog's answer
        if leave and isinstance(self.view.wanted, Closing):
            self.asking.interrupted()
            self.post_message(messages.Offered(None))
        elif leave:
            self.post_message(messages.Left())


def code_page(code: Code, width: int) -> Content:
    """Return the code, and beside it what was read back and how to go on."""
    side = width - (len(code.cells[0]) if code.cells else 0) - SIDE_GAP
    texts = (
        f"QR code of checkpoint.txt, {len(code.text)} bytes, version {code.version}",
        code.said,
        "PageUp: the words",
    )
    said = [row for text in texts for row in (*wrap(text, side, hang=0), "")]
    drawn = [_row(row) for row in code.cells]
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
