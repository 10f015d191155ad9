"""What replay can come to, and one thing that is wrong, with where it was found.

The worst fault names the verdict. A difference is the first event that is not what the events
before it lead to: line, event, rule, the member by its path, what was expected, what is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ceremony.types import Finding, Severity


class Verdict(StrEnum):
    """What a replay comes to, the worst first."""

    FORGED = "FORGED"
    DIFFERS = "DIFFERS"
    INCOMPLETE = "INCOMPLETE"
    REPRODUCED = "REPRODUCED"


@dataclass(frozen=True, slots=True)
class Difference:
    """The first event that differs, by its line from 0; values are shortened and escaped.

    `event` and `path` are empty where a line could not be read as an event.
    """

    line: int
    event: str
    rule: str
    path: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A finding, the verdict it leads to, and the difference behind it where an event differs.

    `file` is the name of the file in the bundle that it is about, where it is about one.
    """

    verdict: Verdict
    finding: Finding
    difference: Difference | None = None
    file: str = ""


def fault(verdict: Verdict, rule: str, text: str) -> Fault:
    """Return a fault by its rule and the fact in a sentence."""
    return Fault(verdict, Finding(rule, Severity.REFUSE, text))


def worst(faults: Iterable[Fault]) -> Verdict:
    """Return the verdict that all faults together lead to."""
    found = {fault.verdict for fault in faults}
    return next((verdict for verdict in Verdict if verdict in found), Verdict.REPRODUCED)
