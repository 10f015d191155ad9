"""inspect: what the image is and what it would do when booted."""

from __future__ import annotations

from ceremony.steps import Step
from tui.guides import GUIDES
from tui.screens.step import StepScreen


class InspectScreen(StepScreen):
    """The image's meaning, from a strict parse."""

    STEP = Step.INSPECT
    GUIDE = GUIDES[Step.INSPECT]
