"""line.schema.json: every published line is valid, and no other shape that the reader refuses."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quorum.json_schema import Schema, faults

from ceremony.errors import Refused
from transcripts.canon import canonical
from transcripts.log import read_line

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: Schema = json.loads((ROOT / "docs/spec/line.schema.json").read_text("utf-8"))
GOLDEN = sorted((ROOT / "transcripts/golden").glob("*/bundle/transcript.jsonl"))
FIRST_OF: dict[str, bytes] = {
    json.loads(line)["event"]: line
    for path in reversed(GOLDEN)
    for line in reversed(path.read_bytes().splitlines())
}


def valid(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell it by the one definition that the line's event names: oneOf tries all of them."""
    name = value.get("event") if isinstance(value, dict) else None
    definition = SCHEMA["$defs"].get(name) if isinstance(name, str) else None
    return definition is not None and not list(faults(definition, value, SCHEMA))


def test_the_definitions_are_told_apart_by_their_names() -> None:
    for branch in SCHEMA["oneOf"]:
        name = branch["$ref"].removeprefix("#/$defs/")
        assert SCHEMA["$defs"][name]["properties"]["event"]["enum"] == [name]
    happy = json.loads(FIRST_OF["open.begin"])
    assert list(faults(SCHEMA, happy, SCHEMA)) == []
    assert list(faults(SCHEMA, {**happy, "event": "open.clock"}, SCHEMA))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parts[-3])
def test_every_published_line_is_valid(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        assert valid(json.loads(line)), line[:80]


@pytest.mark.parametrize("name", sorted(FIRST_OF))
def test_neither_the_schema_nor_the_reader_takes_another_shape(name: str) -> None:
    value = json.loads(FIRST_OF[name])
    assert read_line(canonical(value)).event.name == name
    count = 0
    for mutant in reshaped(value):
        count += 1
        assert not valid(mutant)
        with pytest.raises(Refused):
            read_line(canonical(mutant))
    assert count > 20


def reshaped(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the line with a member gone, added or of another type, at every place with members."""
    for path in places(value, ()):
        if "facts" in path:
            continue  # a decision's facts are as the decision defines them
        yield from changed(value, path)


def places(value: object, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield (*path, name)
            yield from places(member, (*path, name))
    elif isinstance(value, list) and value:
        yield (*path, 0)
        yield from places(value[0], (*path, 0))


def changed(value: dict[str, Any], path: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    *above, last = path
    instead: Any
    for instead in ("gone", "added", "simple", {"x": 1}, [[[]]]):
        mutant = copy.deepcopy(value)
        at: Any = mutant
        for step in above:
            at = at[step]
        if isinstance(at, list) and instead in ("gone", "added"):
            continue  # how many items there are is not the shape's matter
        match instead:
            case "gone":
                del at[last]
            case "added":
                at["unknown"] = 1
            case "simple":
                at[last] = 7 if isinstance(at[last], bool) else True
            case _:
                at[last] = instead
        yield mutant
