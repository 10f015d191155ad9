"""close: the checkpoint as hex, words and QR code, and the signatures over it.

Page by page: hex and words, then how it came out and the outputs, then the QR code, which
takes the whole body.
"""

from __future__ import annotations

from ceremony.events import Outcome
from ceremony.show import counted, grouped
from ceremony.steps import Step
from ceremony.words import rows
from tui.faces import Closing
from tui.guides import CLOSED_WITHOUT_POLICY, GUIDES, NOBODY_SIGNS, Guide
from tui.parts import dialogs, messages
from tui.parts.guide import ONCE_CLOSED
from tui.parts.lines import ASKED, BAD, BAD_MARK, DONE, GOOD, STRONG, Line
from tui.parts.notice import findings_lines
from tui.parts.view import View
from tui.screens.coded import CodedScreen


class CloseScreen(CodedScreen):
    """What people sign, print, read aloud and take a picture of."""

    STEP = Step.CLOSE
    GUIDE = GUIDES[Step.CLOSE]
    EVERYWHERE = ONCE_CLOSED
    CODE_OF = "checkpoint.txt"
    KEYS = (
        ("F1", "Help"),
        ("F2", "Record"),
        ("F8", "Lock"),
        ("PageDown", "QR code"),
        ("F9", "Go on"),
        ("F10", "Leave"),
    )

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
        witnessed = f"{len(closing.signed)} of {closing.needed} witnesses signed it{signed}"
        return (
            Line(witnessed, GOOD if closing.enough else ASKED)
            if closing.signable
            else Line(NOBODY_SIGNS, ASKED),
            Line(f"Root  {grouped(digits[:32])}"),
            Line(f"      {grouped(digits[32:])}"),
            *(Line(row, STRONG) for row in rows(closing.head.root)),
            Line(f"{DONE if good else BAD_MARK} Outcome: {closing.outcome}", GOOD if good else BAD),
            Line(f"QR code {code}{paged}", ASKED),
            *findings_lines(closing.why),
            Line(f"Outputs {len(closing.files)} files, {counted(outputs)}"),
            Line(f"{'Sign' if closing.signable else 'File':<7} {closing.checkpoint}"),
            *(Line(f"  {text}") for text in closing.head.text.decode("ascii").splitlines()),
        )

    @property
    def guide(self) -> Guide:
        """Return the page that fits: without a policy nobody signs."""
        wanted = self.view.wanted
        unsigned = isinstance(wanted, Closing) and not wanted.signable
        return CLOSED_WITHOUT_POLICY if unsigned else self.GUIDE

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
