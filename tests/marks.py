"""Marks that tie a test to the rule ids it gives an accepting or a refusing vector for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., object])


def accepts(*rules: str) -> Callable[[Test], Test]:
    """Say that the test shows an input which every one of `rules` lets pass."""
    assert rules, "a mark names its rules"
    return lambda test: test


def refuses(*rules: str) -> Callable[[Test], Test]:
    """Say that the test shows an input which every one of `rules` refuses or reports."""
    assert rules, "a mark names its rules"
    return lambda test: test
