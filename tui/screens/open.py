"""open: the policy and its owners, the people in the room, the clock."""

from __future__ import annotations

from ceremony.steps import Step
from tui.guides import GUIDES
from tui.screens.step import StepScreen


class OpenScreen(StepScreen):
    """Who is here, under which policy, and what time it is."""

    STEP = Step.OPEN
    GUIDE = GUIDES[Step.OPEN]
