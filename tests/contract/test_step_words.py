"""One word a step, in six places: state, screen, runbook, event, test folder, spec."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import ceremony.engine
import tui.screens
from ceremony.events import NAMED
from ceremony.states import BY_STEP
from ceremony.steps import Step

ROOT = Path(__file__).resolve().parents[2]
WORDS = {str(step) for step in Step}
HEADINGS = [f"{step.number} {step.heading}" for step in Step]
EVENT = re.compile(r"[a-z_]+\.[a-z_]+")
STEPLESS = "ceremony"  # events that may stand in any step
NO_STEP = {"__init__", "step", "coded"}  # the register of screens, and what all of them are


def modules(package: object) -> list[Path]:
    folder = Path(str(getattr(package, "__file__", ""))).parent
    return sorted(folder.glob("*.py"))


def event_names() -> set[str]:
    """Return every event name: the named events, and what the engine asks and decides."""
    constants = {
        node.value
        for path in modules(ceremony.engine)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return set(NAMED) | {text for text in constants if EVENT.fullmatch(text)}


def numbered_headings(page: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return re.findall(r"(?m)^## (\d+ .+)$", text)


def test_every_step_has_its_state() -> None:
    assert {str(step) for step in BY_STEP} == WORDS


def test_a_states_name_is_the_steps_word() -> None:
    named = {step: state.__name__.lower() for step, state in BY_STEP.items()}
    assert named == {step: step.replace("_", "") for step in Step}


def test_every_step_has_its_screen() -> None:
    assert {path.stem for path in modules(tui.screens)} - NO_STEP == WORDS


def test_every_step_has_its_heading_in_the_runbook() -> None:
    assert numbered_headings("CEREMONY.md") == HEADINGS


def test_every_step_has_its_heading_in_the_spec() -> None:
    assert numbered_headings("docs/spec/steps.md") == HEADINGS


def test_every_event_begins_with_its_steps_word() -> None:
    assert {name.partition(".")[0] for name in event_names()} - {STEPLESS} == WORDS


def test_every_step_has_its_tests() -> None:
    assert {path.parent.name for path in (ROOT / "tests/steps").glob("*/test_*.py")} == WORDS
