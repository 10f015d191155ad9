"""ingest: the medium is copied into memory once."""

from __future__ import annotations

from ceremony.steps import Step
from tui.guides import GUIDES
from tui.screens.step import StepScreen


class IngestScreen(StepScreen):
    """The manifest, and one copy that is hashed while it is made."""

    STEP = Step.INGEST
    GUIDE = GUIDES[Step.INGEST]
