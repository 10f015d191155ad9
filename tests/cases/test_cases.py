"""The 84 cases of the quorum's specification: each stands here once, with what must come out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from cases.books import ALL, of_number
from cases.stories import ELSEWHERE
from cases.taken import expected, seen
from quorum.casebook import Case
from quorum.release import Release

from ceremony.ingest.judging import read_apart
from ceremony.rules.register import ALL as RULES

TESTS = Path(__file__).resolve().parents[1]
NUMBERS = range(1, 85)
TABLE = expected()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


@pytest.mark.parametrize("case", ALL, ids=[f"{c.number}-{c.says}" for c in ALL])
def test_a_case_comes_out_as_the_table_says(release: Release, case: Case, tmp_path: Path) -> None:
    row = seen(case, release, tmp_path)
    assert row == TABLE[case.number]
    assert (row["verdict"], row["votes"]) == (case.verdict, case.votes)


def one_of_each() -> list[Case]:
    """Return the first case of each number, and of each that has a name only."""
    first: dict[object, Case] = {}
    for case in ALL:
        first.setdefault(of_number(case.number) or case.number, case)
    return [*first.values()]


@pytest.mark.parametrize("case", one_of_each(), ids=[f"{c.number}" for c in one_of_each()])
def test_a_case_comes_out_the_same_from_the_confined_reader(
    release: Release, case: Case, tmp_path: Path
) -> None:
    """As a ceremony and `check` read: files on disk, the child, the judge."""
    assert seen(case, release, tmp_path, read_apart) == TABLE[case.number]


def test_the_table_has_no_row_too_many_and_names_known_rules() -> None:
    assert set(TABLE) == {case.number for case in ALL}
    for row in TABLE.values():
        files, refuses, reports = row["files"], row["refuses"], row["reports"]
        assert isinstance(files, dict)
        assert isinstance(refuses, list)
        assert isinstance(reports, list)
        told = [each for line in files.values() for each in line.split(", ")]
        named = {each.partition(" ")[2] for each in told} | {*refuses, *reports}
        assert named - {""} <= set(RULES)


def test_every_number_stands_in_the_table_or_points_to_its_tests() -> None:
    here = {of_number(case.number) for case in ALL} - {0}
    assert sorted(here | set(ELSEWHERE)) == list(NUMBERS)


@pytest.mark.parametrize("number", sorted(ELSEWHERE))
def test_a_test_that_is_pointed_to_is_there(number: int) -> None:
    for place in ELSEWHERE[number]:
        name, _, function = place.partition("::")
        tree = ast.parse((TESTS / name).read_text("utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert function in functions, place
