"""Errors by fault: the input's (Refused), the driver's (OutOfOrder), a device's (Trouble).

Anything else that is raised is a bug and ends the ceremony through the crash path.
"""

from __future__ import annotations

from ceremony.types import Finding, Severity


class CeremonyError(Exception):
    """The root of every error that crosses a package border."""


class Refused(CeremonyError):
    """The input is at fault; one or more findings say which rules and which facts."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("; ".join(f"{f.rule}: {f.text}" for f in findings))
        self.findings: tuple[Finding, ...] = findings


class OutOfOrder(CeremonyError):
    """An event that is not legal in this state; the state is unchanged."""


class Trouble(CeremonyError):
    """A device or medium is at fault: the rule id, what happened, and nothing decided yet."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule
        self.text = text


class TokenTrouble(Trouble):
    """The token, its module or its reader failed; the outcome may be unknown."""


class MediaTrouble(Trouble):
    """A medium vanished, is full, or cannot be read."""


def refuse(rule: str, text: str, offset: int | None = None) -> Refused:
    """Make the Refused error of one finding."""
    return Refused(Finding(rule, Severity.REFUSE, text, offset))
