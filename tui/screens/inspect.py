"""inspect: what the image is and what it would do when booted."""

from __future__ import annotations

from ceremony.steps import Step
from tui.screens.step import Guide, StepScreen


class InspectScreen(StepScreen):
    """The image's meaning, from a strict parse."""

    STEP = Step.INSPECT
    GUIDE = Guide(
        what="The image was parsed strictly. The screen says what it would do when booted: "
        "system, kernel, command line, initrd, sections, and its Authenticode digest.",
        do=(
            "Read each line aloud.",
            "Compare kernel version and command line with the announcement.",
            "Type UNDERSTOOD when it is the release that was announced.",
        ),
        cases=(
            ("a line is not what was announced", "abort with F10 and say which."),
            ("a warning is shown", "read its rule; note with F3 what was decided."),
        ),
    )
