"""On which line of a policy's text a table or a key stands.

Decides nothing about values: tomllib reads them and tells places only for syntax. This
scan knows what TOML needs for places alone: headers, keys before "=", texts over several
lines, brackets that stay open. A key that is not there has the line of its table, a table
that is not there the line of the one above it, and else the first line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = r"""(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')"""
_DOTTED = rf"{_WORD}(?:[ \t]*\.[ \t]*{_WORD})*"
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_DOTTED})[ \t]*\]\]?")
_KEY = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_PART = re.compile(_WORD)
# What may hide a bracket or a quote, longest first.
_MARK = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*|[\[\]{}]')


class Lines:
    """The places of a policy: tables by name and ordinal as "builder 2", keys inside them."""

    def __init__(self, text: str) -> None:
        self._tables: dict[str, int] = {}
        self._keys: dict[tuple[str, str], int] = {}
        counts: dict[str, int] = {}
        table = ""
        for number, line in _outer(text):
            header, key = _HEADER.match(line), _KEY.match(line)
            if header:
                name = ".".join(_parts(header[1]))
                counts[name] = counts.get(name, 0) + 1
                table = f"{name} {counts[name]}"
                above, _, inner = name.rpartition(".")
                if above in counts:
                    self._keys.setdefault((f"{above} {counts[above]}", inner), number)
                self._tables.setdefault(table, number)
                self._tables.setdefault(name, number)
            elif key:
                self._note(table, _parts(key[1]), number)

    def _note(self, table: str, parts: list[str], number: int) -> None:
        self._keys.setdefault((table, parts[0]), number)
        for end in range(1, len(parts)):
            inner = ".".join((*([table.partition(" ")[0]] if table else []), *parts[:end]))
            self._tables.setdefault(inner, number)
            self._keys.setdefault((f"{inner} 1", parts[end]), number)

    def find(self, table: str, key: str) -> int:
        """Return the line of `key` in `table` ("" is the root), or the nearest that there is."""
        outer, dot, within = table.partition(" ")[2].partition(".")
        if dot:  # a table in an entry of an array, as "component 2.distinct"
            return self.find(f"{table.partition(' ')[0]} {outer}", within)
        ordered = table if not table or " " in table else f"{table} 1"
        inner = ".".join(part for part in (table.partition(" ")[0], key) if part)
        places = (
            self._keys.get((ordered, key)) if key else None,
            self._tables.get(inner) if key else None,
            self._tables.get(table),
        )
        for place in places:
            if place:
                return place
        name = table.partition(" ")[0]
        if "." in name:
            above, _, inner = name.rpartition(".")
            return self.find(above, inner)
        return self._keys.get(("", name), 1) if name else 1


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]


def _outer(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that begin outside of every text and array."""
    quote, depth = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if not quote and depth == 0:
            yield number, line
            if _HEADER.match(line):
                continue
        quote, depth = _after(line, quote, depth)


def _after(line: str, quote: str, depth: int) -> tuple[str, int]:
    """Return which text is open after a line, and how many brackets."""
    at = 0
    while at < len(line):
        if quote:
            end = line.find(quote, at)
            if end < 0:
                return quote, depth
            at, quote = end + len(quote), ""
            continue
        mark = _MARK.search(line, at)
        if mark is None:
            return "", depth
        at = mark.end()
        if mark[0] in ('"""', "'''"):
            quote = mark[0]
        elif mark[0] in "[{":
            depth += 1
        elif mark[0] in "]}":
            depth -= 1
    return quote, max(depth, 0)
