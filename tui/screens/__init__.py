"""One screen a step, named by the step's word."""

from __future__ import annotations

from ceremony.steps import Step
from tui.screens.close import CloseScreen
from tui.screens.ingest import IngestScreen
from tui.screens.inspect import InspectScreen
from tui.screens.inventory import InventoryScreen
from tui.screens.judge import JudgeScreen
from tui.screens.open import OpenScreen
from tui.screens.read_back import ReadBackScreen
from tui.screens.seal import SealScreen
from tui.screens.sign import SignScreen
from tui.screens.step import StepScreen
from tui.screens.verify import VerifyScreen

SCREEN_FOR: dict[Step, type[StepScreen]] = {
    screen.STEP: screen
    for screen in (
        OpenScreen,
        InventoryScreen,
        IngestScreen,
        InspectScreen,
        JudgeScreen,
        ReadBackScreen,
        SignScreen,
        VerifyScreen,
        SealScreen,
        CloseScreen,
    )
}

__all__ = ["SCREEN_FOR", "StepScreen"]
