"""Which tables and keys of a TOML text stand there already, and on which line.

Decides by TOML 1.0.0 ("Keys", "Table", "Array of Tables") whether a name may be given once
more. Refuses to know values: policy_syntax.py goes through the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from ceremony.show import escaped

Parts: TypeAlias = tuple[str, ...]


class Clash(Exception):
    """A name that cannot be given here; its text says why."""


class _Kind(Enum):
    TABLE = auto()  # its own header stands somewhere
    ABOVE = auto()  # only named on the way to another: [a] in [a.b]
    DOTTED = auto()  # made by a key with dots
    LIST = auto()  # [[a]]
    VALUE = auto()


@dataclass
class _Place:
    kind: _Kind
    line: int
    below: dict[str, _Place] = field(default_factory=dict)


class Names:
    """The names of one document, or of one table in braces."""

    def __init__(self) -> None:
        self._root = _Place(_Kind.TABLE, 1)
        self._table = self._root
        self._path: Parts = ()

    def declare(self, parts: Parts, line: int) -> None:
        """Note the header [a.b]; Clash where that table stands already or is none."""
        above, name = self._above(parts, line), parts[-1]
        there = above.below.get(name)
        if there is None:
            there = above.below[name] = _Place(_Kind.TABLE, line)
        elif there.kind is _Kind.ABOVE:
            there.kind, there.line = _Kind.TABLE, line
        elif there.kind is _Kind.VALUE:
            raise _no_table(parts, there)
        else:
            raise Clash(f"the table [{shown(parts)}] stands twice, first on line {there.line}")
        self._table, self._path = there, parts

    def append(self, parts: Parts, line: int) -> None:
        """Note the header [[a.b]]; Clash where that name is anything else already."""
        above, name = self._above(parts, line), parts[-1]
        there = above.below.get(name)
        if there is not None and there.kind is _Kind.VALUE:
            raise _no_table(parts, there)
        if there is not None and there.kind is not _Kind.LIST:
            raise Clash(f"{shown(parts)} is one table already, on line {there.line}")
        if there is None:
            there = above.below[name] = _Place(_Kind.LIST, line)
        there.below = {}  # what follows is in the new entry
        self._table, self._path = there, parts

    def assign(self, parts: Parts, line: int) -> None:
        """Note a key with a value in the last table declared; Clash where it stands already."""
        place = self._table
        for number, part in enumerate(parts[:-1], 1):
            there = place.below.get(part)
            if there is None:
                there = place.below[part] = _Place(_Kind.DOTTED, line)
            elif there.kind is _Kind.VALUE:
                raise _no_table((*self._path, *parts[:number]), there)
            elif there.kind not in (_Kind.DOTTED, _Kind.ABOVE):
                name = shown((*self._path, *parts[:number]))
                raise Clash(f"{name} is a table already, on line {there.line}")
            place = there
        there = place.below.get(parts[-1])
        if there is not None:
            within = f" in [{shown(self._path)}]" if self._path else ""
            raise Clash(f"the key {shown(parts)}{within} stands twice, first on line {there.line}")
        place.below[parts[-1]] = _Place(_Kind.VALUE, line)

    def _above(self, parts: Parts, line: int) -> _Place:
        place = self._root
        for number, part in enumerate(parts[:-1], 1):
            there = place.below.setdefault(part, _Place(_Kind.ABOVE, line))
            if there.kind is _Kind.VALUE:
                raise _no_table(parts[:number], there)
            place = there
        return place


def _no_table(parts: Parts, there: _Place) -> Clash:
    return Clash(f"{shown(parts)} is a value, on line {there.line}, and no table")


def shown(parts: Parts) -> str:
    """Return a name with its dots, for people."""
    return escaped(".".join(part or '""' for part in parts))
