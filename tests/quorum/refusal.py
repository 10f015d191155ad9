"""By which rule a call refuses, for tests to which a reading and a refusal are both right."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from ceremony.errors import Refused

P = ParamSpec("P")


def rule_of(read: Callable[P, object], *words: P.args, **named: P.kwargs) -> str:
    """Return the first rule that a call refuses by, "" where it refuses nothing."""
    try:
        read(*words, **named)
    except Refused as refused:
        return refused.findings[0].rule
    return ""
