"""The ten steps: one word each, the same in state, screen, runbook, event, test and spec."""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """The steps in the order they are gone through."""

    OPEN = "open"
    INVENTORY = "inventory"
    INGEST = "ingest"
    INSPECT = "inspect"
    JUDGE = "judge"
    READ_BACK = "read_back"
    SIGN = "sign"
    VERIFY = "verify"
    SEAL = "seal"
    CLOSE = "close"

    @property
    def number(self) -> int:
        """Return the step's place, 1 to 10."""
        return list(Step).index(self) + 1

    @property
    def heading(self) -> str:
        """Return the word as people read it: "Read back"."""
        return self.value.replace("_", " ").capitalize()
