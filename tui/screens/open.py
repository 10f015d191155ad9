"""open: the policy and its owners, the people in the room, the clock."""

from __future__ import annotations

from ceremony.steps import Step
from tui.screens.step import Guide, StepScreen


class OpenScreen(StepScreen):
    """Who is here, under which policy, and what time it is."""

    STEP = Step.OPEN
    GUIDE = Guide(
        what="The policy was read and its owners' signatures were checked. People say that "
        "everybody named is present, and compare the machine's clock with their own.",
        do=(
            "Compare the policy's SHA-256 with the one on paper.",
            "Call every person by name and role.",
            "Type the time from a watch or the wall clock, in UTC.",
        ),
        cases=(
            ("a person is missing", "do not type PRESENT; wait, or abort with F10."),
            ("the digest is not the one on paper", "abort with F10; it is another policy."),
            ("the clock is off", "set the machine's clock, then type the time again."),
        ),
    )
