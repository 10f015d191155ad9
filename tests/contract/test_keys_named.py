"""What is recorded and what a rule says name acts, not keys: years later nobody has that screen.

The report and docs/spec repeat a rule's words, and prompts over a serial line have no
function keys at all. A face says itself which key or command does the act.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ceremony
import hsm
import transcripts
from ceremony.rules.register import ALL
from tui.guides import PROMPTS, SCREEN, beside

KEYS = re.compile(r"\bF(?:1[0-2]|[1-9])\b|Page(?:Up|Down)|\bCtrl-|:(?:abort|exception|help)\b")
ROOMS = tuple(Path(str(room.__file__)).parent for room in (ceremony, hsm, transcripts))


def sentences(room: Path) -> Iterator[tuple[str, str]]:
    """Yield every string with a space in it that the room's code holds, and where."""
    for path in sorted(room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield f"{path.name}:{node.lineno}", node.value


@pytest.mark.parametrize("room", ROOMS, ids=[room.name for room in ROOMS])
def test_no_key_of_a_screen_stands_in_what_is_recorded(room: Path) -> None:
    assert {where: text for where, text in sentences(room) if KEYS.search(text)} == {}


def test_no_key_of_a_screen_stands_in_a_rule() -> None:
    named = {rule.id: rule for rule in ALL.values() if KEYS.search(f"{rule.says} {rule.next}")}
    assert named == {}


@pytest.mark.parametrize(
    ("text", "screen", "prompts"),
    [
        ("Mend what is named, or abort.", "F10 aborts.", ":abort aborts."),
        (
            "Note it as an exception, or abort the ceremony.",
            "F3 notes an exception. F10 aborts.",
            ":exception notes an exception. :abort aborts.",
        ),
        ("Type SCAN to scan again.", "", ""),
        ("Image abort.efi, exceptional", "", ""),
    ],
    ids=["abort", "both", "neither", "parts-of-words"],
)
def test_a_face_says_its_own_key_beside_the_act(text: str, screen: str, prompts: str) -> None:
    assert beside((text,), SCREEN) == screen
    assert beside((text,), PROMPTS) == prompts
