"""sign: the last look, the PIN, and what a token did."""

from __future__ import annotations

from ceremony.effects import Login
from ceremony.states import Sign
from ceremony.steps import Step
from tui.parts.lines import ASKED, BAD, DONE, GOOD, Line
from tui.parts.view import View, inner
from tui.screens.coded import CodedScreen
from tui.screens.step import Guide


class SignScreen(CodedScreen):
    """The plan that key holders approve, and the one act that cannot be unmade."""

    STEP = Step.SIGN
    GUIDE = Guide(
        what="The token was looked at and a plan was made. Key holders approve the plan; then "
        "one of them types the PIN, the intent is recorded, and the token signs once.",
        do=(
            "Compare digest, signer and time with what was shown before.",
            "Every key holder who approves signs plan.txt elsewhere; PageDown to its QR code.",
            "Type the path of the signature, or of a picture of its code, and F9.",
            "A key holder types the PIN, unwatched, and F9 makes the signature.",
        ),
        cases=(
            ("the PIN was wrong", "it is never tried again by itself; look it up first."),
            ("the token vanished while signing", "the outcome is UNKNOWN, and is recorded so."),
            ("you are not sure", "F10 ends the ceremony before anything is signed."),
        ),
    )

    CODE_OF = "plan.txt"

    def before(self, view: View) -> tuple[Line, ...]:
        """Draw who approved, and the PIN's warning."""
        state = inner(view.state)
        if not isinstance(state, Sign):
            return ()
        approved = tuple(
            Line(f"{DONE} {ack.person} approved the plan", GOOD) for ack in state.approvals
        )
        if isinstance(view.wanted, Login) and view.wanted.pin_state not in ("ok", "unknown"):
            return (*approved, Line(f"PIN STATE: {view.wanted.pin_state}", BAD))
        return approved

    def after(self, view: View) -> tuple[Line, ...]:
        """Say where the code of the plan is."""
        if view.code is None:
            return ()
        paged = ", PageDown shows it" if view.code.cells else ""
        return (Line(f"QR code {view.code.said}{paged}", ASKED),)
