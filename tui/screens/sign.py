"""sign: the last look, the PIN, and what a token did."""

from __future__ import annotations

from ceremony.effects import Login
from ceremony.states import Sign
from ceremony.steps import Step
from tui.guides import GUIDES
from tui.parts.lines import ASKED, BAD, DONE, GOOD, Line
from tui.parts.view import View, inner
from tui.screens.coded import CodedScreen

PIN_STATES = {
    "count-low": "PIN: a wrong one was typed before; tries are left",
    "final-try": "PIN: the last try; a wrong one locks the token",
    "locked": "PIN: locked, no PIN is accepted",
}


class SignScreen(CodedScreen):
    """The plan that key holders approve, and the one act that cannot be unmade."""

    STEP = Step.SIGN
    GUIDE = GUIDES[Step.SIGN]

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
            return (*approved, Line(PIN_STATES[view.wanted.pin_state], BAD))
        return approved

    def after(self, view: View) -> tuple[Line, ...]:
        """Say where the code of the plan is."""
        if view.code is None:
            return ()
        paged = ", PageDown shows it" if view.code.cells else ""
        return (Line(f"QR code {view.code.said}{paged}", ASKED),)
