"""close: the checkpoint as hex, words and QR code, and the signatures over it.

Page by page: hex and words, then how it came out and the outputs, then the QR code, which
takes the whole body.
"""

from __future__ import annotations

from ceremony.events import Outcome
from ceremony.show import counted, grouped
from ceremony.steps import Step
from ceremony.words import rows
from transcripts.checkpoint import NAMESPACE
from tui.faces import Closing
from tui.parts import dialogs, messages
from tui.parts.lines import ASKED, BAD, BAD_MARK, DONE, GOOD, STRONG, Line
from tui.parts.notice import findings_lines
from tui.parts.view import View
from tui.screens.coded import CodedScreen
from tui.screens.step import Guide


class CloseScreen(CodedScreen):
    """What people sign, print, read aloud and take a picture of."""

    STEP = Step.CLOSE
    GUIDE = Guide(
        what="The transcript is closed. Its checkpoint is signed by witnesses with their own "
        "keys on their own machines; the words and the QR code carry it there.",
        do=(
            "Read the words aloud; everybody compares with what they wrote down.",
            "PageDown to the QR code; take a picture of it.",
            f"Sign checkpoint.txt elsewhere: ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE",
            "Type the signature file's path and F9, one witness after the other.",
            "F9 with an empty line when all have signed.",
        ),
        cases=(
            ("the code was not read back", "use the words; they say the same."),
            ("a witness cannot sign now", "F10 leaves; the bundle says INCOMPLETE meanwhile."),
        ),
    )
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

    def action_abort(self) -> None:
        """Let a person leave before enough have signed."""
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
