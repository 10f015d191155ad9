"""What a report is made of: sections of paragraphs, facts, tables and listings.

Decides only shapes. Text stands in it raw, as the record has it: whoever draws a document
escapes all of it. A run of text says what it is (a code, references to events, a rule), so
that each form can draw it in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Matrix: TypeAlias = tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A digest, a path, a word that was typed: to be compared character by character."""

    text: str


@dataclass(frozen=True, slots=True)
class Events:
    """References to events by the number the screen showed, from 1.

    `bare` where a column's head says already that they are events.
    """

    numbers: tuple[int, ...]
    bare: bool = False


@dataclass(frozen=True, slots=True)
class RuleId:
    """A rule by its id; the report explains each one it names."""

    id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word that must be seen first: a verdict, an outcome, a severity."""

    text: str
    good: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines as they stood on a screen or in a file."""

    lines: tuple[str, ...]


Run: TypeAlias = str | Code | Events | RuleId | Mark | Lines
Cell: TypeAlias = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some sentences."""

    runs: Cell


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they stand for, one under the other; `caption` says of what."""

    caption: str
    rows: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption and column heads; the first cell of a row names the row.

    `more` is how many rows were left out, because a report is bounded. `anchor` makes each
    row a place that references lead to: "event" or "rule", by the row's first cell.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: int = 0
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    items: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A QR code by its modules (True is dark), and the text that it holds."""

    modules: Matrix
    says: str
    holds: tuple[str, ...]


Block: TypeAlias = Paragraph | Heading | Facts | Table | Bullets | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report; `name` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Banner:
    """What stands first and on every printed page.

    `sound` only when replay reproduced the record; `mode` in capitals; `says` in one sentence.
    """

    verdict: str
    mode: str
    ceremony: str
    sound: bool
    says: str

    @property
    def practice(self) -> bool:
        """Tell whether this is anything but a production ceremony."""
        return self.mode != "PRODUCTION"

    @property
    def line(self) -> str:
        """Return verdict, mode and ceremony in one line."""
        return " - ".join((self.verdict, self.mode, f"ceremony {self.ceremony or 'unknown'}"))


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report."""

    title: str
    banner: Banner
    sections: tuple[Section, ...]
    made_by: str


def cell(text: str) -> Cell:
    """Return a cell of plain text."""
    return (text,)


def code(text: str) -> Cell:
    """Return a cell of one code, or a dash."""
    return (Code(text),) if text else ("-",)


def at(*numbers: int) -> Cell:
    """Return a cell that refers to events, or a dash."""
    return (Events(numbers),) if numbers else ("-",)


def bare(number: int) -> Cell:
    """Return the cell that begins an event's row."""
    return (Events((number,), bare=True),)
