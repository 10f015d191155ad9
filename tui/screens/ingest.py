"""ingest: the medium is copied into memory once."""

from __future__ import annotations

from ceremony.steps import Step
from tui.screens.step import Guide, StepScreen


class IngestScreen(StepScreen):
    """The manifest, and one copy that is hashed while it is made."""

    STEP = Step.INGEST
    GUIDE = Guide(
        what="The image and its attestations are copied from the medium into memory, once, and "
        "hashed meanwhile. After that the medium is not read again.",
        do=(
            "Put the medium in before this step; wait while it is read.",
            "Compare name, size and SHA-256 with the announcement.",
            "Take the medium out, and type REMOVED.",
        ),
        cases=(
            ("the medium cannot be read", "put a good copy in and type READ."),
            ("an unexpected file is listed", "note it with F3; it counts for nothing."),
        ),
    )
