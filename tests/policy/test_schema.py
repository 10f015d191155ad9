"""The JSON Schema says what the loader does, as far as a schema can."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from quorum.json_schema import Schema, faults
from quorum.policy_faults import FAULTS
from quorum.release import Release
from quorum.toml_text import Table, toml

from ceremony.errors import Refused
from ceremony.policy import load
from ceremony.policy_tables import Table as Read

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA: Schema = json.loads((DOCS / "spec/policy.schema.json").read_text("utf-8"))
EXAMPLES = sorted((DOCS / "examples").glob("*.toml"))
# What only the loader can know: what tables mean together, and what keys and texts are.
BEYOND = {
    *("POL-MEMBERS", "POL-RULE", "POL-THRESHOLD", "POL-ROLES", "POL-CERTIFICATE", "POL-PERIOD"),
    *("POL-KEY-TWICE", "POL-PUBLIC-KEY", "POL-TWICE", "POL-COMPONENT"),
}
# A date as text, a number of groups, a place in a name, a window that overflows, a key that
# cannot be touched, a number of 64 bits.
BEYOND_VALUES = (
    "weak_votes_max",
    "flake_lock",
    "[groups]",
    "expires",
    "policy_id",
    "valid_from",
    "rsa",
    "dbx",
    "touch (line",
    "serials (line",
)


def as_json(value: object) -> object:
    match value:
        case dict():
            return {name: as_json(member) for name, member in value.items()}
        case list():
            return [as_json(item) for item in value]
        case datetime() | date():
            return value.isoformat()
        case _:
            return value


def found(data: bytes) -> list[str]:
    return list(faults(SCHEMA, as_json(tomllib.loads(data.decode())), SCHEMA))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_schema_accepts_every_example(path: Path) -> None:
    assert found(path.read_bytes()) == []


def test_the_schema_accepts_what_the_tests_load(release: Release) -> None:
    assert found(toml(release.tables())) == []


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_what_the_schema_refuses_the_loader_refuses_and_the_other_way(
    release: Release, number: int
) -> None:
    rule, place, change = FAULTS[number]
    tables = release.tables()
    change(release, tables)
    data = toml(tables)
    with pytest.raises(Refused):
        load(data)
    beyond = rule in BEYOND or any(part in place for part in BEYOND_VALUES)
    assert bool(found(data)) or beyond, (rule, place)


def objects(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Yield every table of the schema with its path; array items are under "0"."""
    for form in schema.get("oneOf", [schema]):
        if form.get("type") == "object":
            yield path, form
            for name, member in form["properties"].items():
                yield from objects(member, (*path, name))
        elif form.get("type") == "array":
            yield from objects(form["items"], (*path, "0"))


def test_the_schema_knows_the_keys_that_the_loader_asks_for(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, set[str]] = {}
    value = Read._value

    def noting(self: Read, key: str, default: object) -> object:
        asked.setdefault(re.sub(" [0-9]+", "", self.name), set()).add(key)
        return value(self, key, default)

    monkeypatch.setattr(Read, "_value", noting)
    minima = {"isolation": 2, "organisation": 2, "cpu_vendor": 1, "network": 1, "os": 1}
    tables = release.tables(
        quorum={"distinct": minima}, version={"source": ["statement"]}, ledger={"file": "l"}
    )
    sigstore = {"type": "sigstore", "identity": "a@b.c", "issuer": "https://x"}
    row = tables["builder"]
    assert isinstance(row, list)
    authority = {"type": "ssh-ca", "principals": ["a"]}
    row[0]["key"] += [row[0]["key"][0] | more for more in (sigstore, authority)]
    tables["revoked"] = [{}]
    tables["component"] = [{"distinct": minima}]
    signer = tables["signer"]
    assert isinstance(signer, dict)
    signer["pin"] = "shares"
    with pytest.raises(Refused):
        load(toml(tables))
    known: dict[str, set[str]] = {}
    for path, table in objects(SCHEMA):
        name = ".".join(part for part in path if part != "0")
        known.setdefault(name, set()).update(table["properties"])
    for free in ("groups", "algorithms.sunset"):  # their keys are names
        del known[free]
    assert asked == known


def with_key(tables: Table, path: tuple[str, ...], key: str, value: object) -> Table:
    changed = copy.deepcopy(tables)
    place: Any = changed
    for part in path:
        place = place[0] if part == "0" else place.setdefault(part, {})
    place[key] = value
    return changed


def test_an_unknown_key_is_refused_by_both(release: Release) -> None:
    tables = release.tables()
    tables["component"] = [{"id": "kernel", "names": ["vmlinuz"], "threshold": 1}]
    for path, _ in objects(SCHEMA):
        if path in (("groups",), ("algorithms", "sunset"), ("revoked", "0")):
            continue
        data = toml(with_key(tables, path, "unheard_of", 1))
        with pytest.raises(Refused, match="POL-UNKNOWN"):
            load(data)
        assert found(data), path
