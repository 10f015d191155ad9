"""The quorum rule language: `all(2 of core, any(1 of external, 2 of ci))`.

    rule = need | ("all" | "any") "(" rule *("," rule) ")"
    need = count "of" group

Decides whether a text is a rule, and how many more votes each need lacks. Refuses to know
who voted: it is told the number of principals with a vote in each group. A group's name
stands at most once in a rule, so no vote can be spent twice in one group.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ceremony.errors import Refused, refuse
from ceremony.show import escaped

RULE = "POL-RULE"
MOST_CHARACTERS = 2000
MOST_DEPTH = 8
_TOKEN = re.compile(r"[ \t]*(?:([0-9]{1,4})(?![A-Za-z0-9_-])|([A-Za-z][A-Za-z0-9_-]*)|([(),]))")


class Join(StrEnum):
    """Whether every part or one part must hold."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Need:
    """`count` principals of one group."""

    count: int
    group: str

    def __str__(self) -> str:
        return f"{self.count} of {self.group}"


@dataclass(frozen=True, slots=True)
class Joined:
    """Several rules of which all or any must hold."""

    join: Join
    parts: tuple[Need | Joined, ...]

    def __str__(self) -> str:
        return f"{self.join}({', '.join(map(str, self.parts))})"


QuorumTree = Need | Joined
Present = Callable[[str], int]


def parse(text: str) -> QuorumTree:
    """Read a rule; Refused (POL-RULE) says at which character it stops making sense."""
    if len(text) > MOST_CHARACTERS:
        raise refuse(RULE, f"the rule has more than {MOST_CHARACTERS} characters")
    parser = _Parser(text)
    tree = parser.rule(1)
    parser.end()
    names = [need.group for need in needs(tree)]
    for name in names:
        if names.count(name) > 1:
            raise refuse(RULE, f"the group {escaped(name)} stands twice in the rule")
    return tree


def needs(tree: QuorumTree) -> Iterator[Need]:
    """Yield every `k of group` in the rule."""
    match tree:
        case Need():
            yield tree
        case Joined(parts=parts):
            for part in parts:
                yield from needs(part)


def holds(tree: QuorumTree, present: Present) -> bool:
    """Say whether the rule holds when `present(group)` principals of each group agree."""
    match tree:
        case Need(count, group):
            return present(group) >= count
        case Joined(Join.ALL, parts):
            return all(holds(part, present) for part in parts)
        case Joined(Join.ANY, parts):
            return any(holds(part, present) for part in parts)
        case _:
            raise TypeError("not a quorum rule")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def rule(self, depth: int) -> QuorumTree:
        if depth > MOST_DEPTH:
            raise self._fault(f"brackets nest deeper than {MOST_DEPTH}")
        number, word, _ = self._next()
        if number:
            return self._need(int(number))
        if word not in set(Join):
            raise self._fault('expected "all(", "any(" or a number')
        self._expect("(")
        parts = [self.rule(depth + 1)]
        while (mark := self._next()[2]) == ",":
            parts.append(self.rule(depth + 1))
        if mark != ")":
            raise self._fault('expected "," or ")"')
        return Joined(Join(word), tuple(parts))

    def _need(self, count: int) -> Need:
        if count == 0:
            raise self._fault("0 of a group is no rule")
        if self._next()[1] != "of":
            raise self._fault('expected "of" after the number')
        group = self._next()[1]
        if not group:
            raise self._fault('expected a group after "of"')
        return Need(count, group)

    def _expect(self, wanted: str) -> None:
        if self._next()[2] != wanted:
            raise self._fault(f'expected "{wanted}"')

    def _next(self) -> tuple[str, str, str]:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise self._fault("the rule ends or goes on strangely")
        self._at = found.end()
        return found[1] or "", found[2] or "", found[3] or ""

    def end(self) -> None:
        if self._text[self._at :].strip(" \t"):
            raise self._fault("something stands after the rule")

    def _fault(self, why: str) -> Refused:
        return refuse(RULE, f"{why}, at character {self._at + 1} of the rule")
