"""Reading typed values out of parsed TOML tables, collecting every fault with its line.

Decides whether a value has the wanted type and range and whether a key is known at all.
Refuses to know what the tables mean together. A faulty value is replaced by a harmless
one so that reading goes on; the collected faults make sure that it is never used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import TypeVar

from ceremony.characters import is_printable
from ceremony.policy_lines import Lines
from ceremony.show import escaped
from ceremony.types import Finding, Severity

MOST_NAME = 200
MOST_TEXT = 4096
MOST_ITEMS = 4096
MOST_FAULTS = 100
MOST_NUMBER = 2**53 - 1
OPEN_PLACE = "REPLACE "  # as `policy new` marks what its owner is to fill in
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(0|[1-9][0-9]{0,5})([smhdw])")
_SEVERITY = {"refuse": Severity.REFUSE, "report": Severity.WARN}

Enumeration = TypeVar("Enumeration", bound=StrEnum)
Stand = TypeVar("Stand")


class Faults:
    """Every fault found so far, and where in the file a table and key stand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: Lines | None = None
        self.findings: list[Finding] = []

    def add(self, rule: str, table: str, key: str, why: str) -> None:
        """Note that `key` of `table` (as "quorum", "builder 2" or "") breaks `rule`."""
        if len(self.findings) >= MOST_FAULTS:
            return
        self._note(rule, table, key, self.line(table, key), why)

    def add_open(self, table: str, key: str, text: str) -> None:
        """Note a place that nobody filled in (POL-PLACE), with the line on which it stands."""
        if len(self.findings) >= MOST_FAULTS:
            return
        line = self._text.count("\n", 0, max(self._text.find(text), 0)) + 1
        name, _, wanted = text.removeprefix(OPEN_PLACE).partition(": ")
        why = f"{escaped(name)} is not filled in; here belongs {escaped(wanted) or 'its value'}"
        self._note("POL-PLACE", table, key, line, why)

    def _note(self, rule: str, table: str, key: str, line: int, why: str) -> None:
        name = f"[{table}].{key}" if table and key else f"[{table}]" if table else key
        place = f"{escaped(name)} (line {line})"
        self.findings.append(Finding(rule, Severity.REFUSE, f"{place}: {why}"))

    def line(self, table: str, key: str) -> int:
        """Return the line of a key, or of what is nearest to where it is missing."""
        if self._lines is None:
            self._lines = Lines(self._text)
        return self._lines.find(table, key)


class Table:
    """One TOML table; every getter notes a fault and returns a stand-in where it must."""

    def __init__(self, name: str, values: dict[str, object], faults: Faults) -> None:
        self.name = name
        self._values = values
        self._faults = faults
        self._asked: set[str] = set()

    def fault(self, rule: str, key: str, why: str) -> None:
        """Note a fault of this table."""
        self._faults.add(rule, self.name, key, why)

    def is_open(self, key: str, text: str) -> bool:
        """Say whether `text` of `key` is a skeleton's open place; if so note it (POL-PLACE)."""
        place = text.strip()
        if not place.startswith(OPEN_PLACE):
            return False
        self._faults.add_open(self.name, key, place)
        return True

    def has(self, key: str) -> bool:
        """Say whether the key is written."""
        return key in self._values

    def count(self, key: str) -> int:
        """Return how many entries an array has, 0 for anything else."""
        value = self._values.get(key)
        return len(value) if isinstance(value, list) else 0

    def end(self) -> None:
        """Note every key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                self.fault("POL-UNKNOWN", key, "this key is not known")

    def text(self, key: str, default: str | None = None, most: int = MOST_TEXT) -> str:
        """Return a text; without default it must be there and not be empty."""
        value = self._value(key, default)
        if not isinstance(value, str):
            return self._wrong(key, "a text", "")
        if len(value) > most or (default is None and not value):
            self.fault("POL-VALUE", key, f"a text of 1 to {most} characters is wanted")
        return value

    def name_text(self, key: str, default: str | None = None) -> str:
        """Return a short printable text, as names and ids are."""
        value = self.text(key, default, MOST_NAME)
        if not is_printable(value):
            self.fault("POL-VALUE", key, "the text has characters that do not print")
        return value

    def integer(self, key: str, least: int, most: int, default: int | None = None) -> int:
        """Return an integer of `least` to `most`."""
        value = self._value(key, default)
        if type(value) is not int:
            return self._wrong(key, "an integer", least)
        if not least <= value <= most:
            self.fault("POL-VALUE", key, f"a number from {least} to {most} is wanted")
            return least
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._value(key, default)
        return value if isinstance(value, bool) else self._wrong(key, "true or false", default)

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return an array of distinct, non-empty texts."""
        value = self._value(key, list(default) if default is not None else None)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return self._wrong(key, "an array of texts", ())
        items = tuple(str(item) for item in value)
        if len(items) > MOST_ITEMS or any(not 0 < len(item) <= MOST_TEXT for item in items):
            self.fault("POL-VALUE", key, f"at most {MOST_ITEMS} texts, none empty, are wanted")
            return ()
        if len(set(items)) != len(items):
            self.fault("POL-TWICE", key, "the same entry stands twice")
        return tuple(dict.fromkeys(items))

    def among(
        self, key: str, known: Iterable[str], default: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """Return an array of texts that are all in `known`."""
        items = self.texts(key, default)
        names = tuple(known)
        for item in items:
            if item not in names:
                self.fault("POL-VALUE", key, f"{escaped(item)} is none of {', '.join(names)}")
        return items

    def choice(self, key: str, kind: type[Enumeration], default: Enumeration) -> Enumeration:
        """Return a member of an enumeration."""
        value = self.text(key, default)
        if value not in set(kind):
            self.fault("POL-VALUE", key, f"{escaped(value)} is none of {', '.join(kind)}")
            return default
        return kind(value)

    def severity(self, key: str, default: str, *, options: tuple[str, ...]) -> Severity:
        """Return how grave a fault is: "refuse" or "report"."""
        value = self.text(key, default)
        if value not in options:
            self.fault("POL-VALUE", key, f"{escaped(value)} is none of {', '.join(options)}")
            return Severity.REFUSE
        return _SEVERITY[value]

    def moment(self, key: str) -> datetime:
        """Return an offset date-time, or midnight UTC of a date, in UTC."""
        value = self._value(key, None)
        if isinstance(value, datetime) and value.tzinfo is not None:
            try:
                return value.astimezone(UTC)
            except OverflowError:
                return self._wrong(key, "a moment within the years 1 to 9999", EPOCH)
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime.combine(value, time(), UTC)
        return self._wrong(key, "a moment as 2026-11-01T00:00:00Z", EPOCH)

    def seconds(self, key: str, default: str) -> int:
        """Return a duration written as 45d, 12h, 10m or 30s, in seconds."""
        value = self.text(key, default)
        found = _DURATION.fullmatch(value)
        if found is None:
            return self._wrong(key, "a duration as 45d, 12h, 10m or 30s", 0)
        return int(found[1]) * _SECONDS[found[2]]

    def table(self, key: str, *, required: bool = False) -> Table:
        """Return a sub-table; one that is left out reads as empty."""
        value = self._value(key, None if required else {})
        name = f"{self.name}.{key}" if self.name else key
        if not isinstance(value, dict):
            value = self._wrong(key, "a table", {})
        return Table(name, value, self._faults)

    def tables(self, key: str, most: int, before: int = 0) -> tuple[Table, ...]:
        """Return an array of tables, [[key]]; `before` of that name stand above it in the file."""
        value = self._value(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._wrong(key, f"an array of tables, [[{key}]]", ())
            return ()
        if len(value) > most:
            self.fault("POL-VALUE", key, f"more than {most} tables")
            return ()
        base = f"{self.name.partition(' ')[0]}.{key}" if self.name else key
        return tuple(
            Table(f"{base} {number}", item, self._faults)
            for number, item in enumerate(value, before + 1)
        )

    def items(self, most: int) -> tuple[str, ...]:
        """Return the keys of a table whose keys are free, and count them as known."""
        self._asked.update(self._values)
        if len(self._values) > most:
            self.fault("POL-VALUE", "", f"more than {most} entries")
            return ()
        return tuple(self._values)

    def _value(self, key: str, default: object) -> object:
        self._asked.add(key)
        return self._values.get(key, default)

    def _wrong(self, key: str, wanted: str, stand_in: Stand) -> Stand:
        if key in self._values:
            self.fault("POL-VALUE", key, f"{wanted} is wanted")
        else:
            self.fault("POL-MISSING", key, f"{wanted} is wanted and nothing is there")
        return stand_in
