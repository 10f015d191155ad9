"""Every rule is in the register, in the code, and in tests that accept and that refuse."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import ceremony
import hsm
import transcripts
import tui
from ceremony.rules.register import ALL, AREAS

TESTS = Path(__file__).resolve().parents[1]
ROOMS = tuple(Path(str(room.__file__)).parent for room in (ceremony, hsm, transcripts, tui))
REGISTER = ROOMS[0] / "rules"
PREFIXES = sorted({rule.partition("-")[0] for rule in ALL})
RULE = re.compile(rf"(?<![\w-])(?:{'|'.join(PREFIXES)})(?:-[A-Z0-9]+)+(?![\w-])")
NO_RULE = {"UKI-CEREMONY-DEMO"}  # what the demo image prints when it has booted
MARKS = ("accepts", "refuses")


@dataclass(frozen=True)
class Marked:
    """One use of a mark: by which function of which file, with which arguments."""

    file: Path
    function: str
    mark: str
    arguments: tuple[ast.expr, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """Return the arguments that are string literals, as all should be."""
        return tuple(
            a.value
            for a in self.arguments
            if isinstance(a, ast.Constant) and isinstance(a.value, str)
        )


def marked() -> list[Marked]:
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found += [
                    Marked(path, node.name, call.func.id, (*call.args, *values(call)))
                    for call in node.decorator_list
                    if isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Name)
                    and call.func.id in MARKS
                ]
    return found


def values(call: ast.Call) -> list[ast.expr]:
    return [keyword.value for keyword in call.keywords]


USES = marked()


def sources() -> list[Path]:
    return [
        path
        for room in ROOMS
        for path in sorted(room.rglob("*.py"))
        if not path.is_relative_to(REGISTER)
    ]


def literals(path: Path) -> set[str]:
    """Return the string constants of a module that are not docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    }


@pytest.mark.parametrize("mark", MARKS)
def test_every_rule_has_a_test_of_each_kind(mark: str) -> None:
    shown = {rule for use in USES if use.mark == mark for rule in use.rules}
    assert sorted(set(ALL) - shown) == []


def test_every_mark_stands_on_a_test_and_names_rules_of_the_register() -> None:
    for use in USES:
        where = f"{use.file.relative_to(TESTS)}: {use.function}"
        assert use.file.name.startswith("test_"), where
        assert use.function.startswith("test_"), where
        assert use.arguments, where
        assert len(use.rules) == len(use.arguments), f"{where}: a mark takes string literals"
        assert [rule for rule in use.rules if rule not in ALL] == [], where


def test_every_rule_that_the_code_names_is_in_the_register() -> None:
    unknown = {
        (path.name, rule)
        for path in sources()
        for rule in RULE.findall(path.read_text("utf-8"))
        if rule not in {*ALL, *NO_RULE}
    }
    assert sorted(unknown) == []


def test_every_rule_of_the_register_is_used_in_the_code() -> None:
    used = {rule for path in sources() for text in literals(path) for rule in RULE.findall(text)}
    assert sorted(set(ALL) - used) == []


def test_a_rule_says_what_must_hold_and_what_to_do_next() -> None:
    for rule in ALL.values():
        assert RULE.fullmatch(rule.id), rule.id
        for text in (rule.says, rule.next):
            assert text.strip() == text
            assert text.isprintable(), rule.id
            assert "!" not in text, rule.id
            assert len(text) > len("Export it"), rule.id


def test_an_area_is_one_register() -> None:
    areas = [{rule.partition("-")[0] for rule in area} for area in AREAS]
    assert all(len(prefixes) == 1 for prefixes in areas)
    assert sum(len(area) for area in AREAS) == len(ALL)
