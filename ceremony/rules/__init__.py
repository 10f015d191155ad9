"""The register of every rule id: what it says and what to do next.

One file an area; an id is also the heading in docs/spec, `Finding.rule`, the line in
transcript and report, and the name of its test vectors.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One check: its id, the sentence that must hold, and the next step when it does not."""

    id: str
    says: str
    next: str


def table(*rows: tuple[str, str, str]) -> dict[str, Rule]:
    """Make one area's table of (id, says, next); an id that stands twice is a bug."""
    rules = {row[0]: Rule(*row) for row in rows}
    if len(rules) != len(rows):
        raise TypeError("a rule id stands twice")
    return rules
