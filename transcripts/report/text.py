"""A report as plain text of 80 columns, for terminals and line printers.

A table is drawn in columns where it fits, otherwise a record a row. Verdict and mode stand
in the first line and at each section; where they warn, also every few lines, so that no
printed page is without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import TextWrapper

from transcripts.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Events,
    Facts,
    Heading,
    Lines,
    Mark,
    Paragraph,
    Picture,
    Report,
    RuleId,
    Run,
    Table,
)
from transcripts.report.escaping import narrow

WIDTH = 80
LABEL = 24
GAP = 2
LEAST = 24  # columns that the last column needs
HEX = re.compile(r"[0-9a-f]+")
DIGITS = 32  # of a digest in one line where all of them do not fit
EVERY, PAGE = 40, 52  # lines between two warnings: from the next gap on, and at most
QUIET = 4


def text(report: Report) -> str:
    """Return the whole text."""
    banner = report.banner
    warn = banner.practice or not banner.sound
    lines: list[str] = []
    since = 0
    for line in _lines(report):
        lines.append(line.rstrip())
        since = 0 if line == banner.line else since + 1
        if warn and ((since >= EVERY and not line) or since >= PAGE):
            lines += [banner.line, ""] if not line else ["", banner.line, ""]
            since = 0
    return "\n".join((*lines, ""))


def _lines(report: Report) -> Iterator[str]:
    banner = report.banner
    yield banner.line
    yield from _wrapped(banner.says)
    yield from ("", report.title.upper(), "")
    for number, section in enumerate(report.sections, 1):
        yield "=" * WIDTH
        yield f"{number}  {section.title.upper()}"
        yield banner.line
        yield "=" * WIDTH
        if not banner.sound:
            yield f"{banner.verdict}: what follows is only claimed."
        yield ""
        for block in section.blocks:
            yield from _block(block)
    yield from _wrapped(
        f"Written by {report.made_by} from the bundle alone. It bears no date: the same bundle "
        "and program give the same bytes."
    )
    yield banner.line


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph():
            yield from _wrapped(_cell(block.runs))
        case Heading():
            title = _wrapped(narrow(block.text))
            yield from (*title, "-" * max(map(len, title)))
        case Bullets():
            for item in block.items:
                yield from _wrapped(_cell(item), "- ", "  ")
        case Facts():
            yield from _wrapped(narrow(block.caption))
            for name, value in block.rows:
                yield from _labelled(narrow(name), value, LABEL, "  ")
        case Table():
            yield from _table(block)
        case Picture():
            yield from _picture(block)
    yield ""


def _wrapped(words: str, first: str = "", rest: str = "", width: int = WIDTH) -> list[str]:
    """Return words in lines; one that is longer than a line is cut, digests in halves."""
    room = width - max(len(first), len(rest))
    pieces = []
    for word in words.split():
        cut = room // DIGITS * DIGITS if HEX.fullmatch(word) else room
        cut = len(word) if len(word) <= room else cut or room
        pieces += [word[at : at + cut] for at in range(0, len(word), cut)]
    wrapper = TextWrapper(
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return wrapper.wrap(" ".join(pieces)) or [first]


def _labelled(name: str, value: Cell, width: int, margin: str) -> Iterator[str]:
    """Yield a name and its value behind it, lines of a listing one under the other."""
    if len(name) >= width:
        yield from _wrapped(name, margin, margin)
        name = ""
    label = f"{margin}{name:<{width}}"
    indent = " " * len(label)
    inline = tuple(run for run in value if not isinstance(run, Lines))
    if inline:
        yield from _wrapped(_cell(inline), label, indent)
        label = indent
    for listing in (run for run in value if isinstance(run, Lines)):
        longest = max(map(len, listing.lines), default=0)
        if len(indent) + longest > WIDTH:  # below its label there is more room
            yield label if label.strip() else ""
            label = indent = margin + "  "
        for line in listing.lines:
            # A line that fits stands as it stood on the screen, its columns kept.
            shown = narrow(line)
            fits = len(label) + len(shown) <= WIDTH
            yield from [label + shown] if fits else _wrapped(shown, label, indent + "  ")
            label = indent


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    yield from _wrapped(narrow(table.caption))
    widths = _widths(table)
    if widths:
        yield from _columns(table, widths)
    else:
        yield from _records(table)
    if table.more:
        yield f"  and {table.more:,} more, which are in the transcript."


def _widths(table: Table) -> tuple[int, ...]:
    """Return the columns' widths, () where they do not fit side by side."""
    cells = [[_cell(cell) for cell in row] for row in table.rows]
    if any(isinstance(run, Lines) for row in table.rows for cell in row for run in cell):
        return ()
    wide = [
        max(len(name), *(len(row[place]) for row in cells)) for place, name in enumerate(table.head)
    ]
    room = WIDTH - 2 - GAP * (len(wide) - 1) - sum(wide[:-1])
    last = min(wide[-1], room)
    if last < min(wide[-1], LEAST):
        return ()
    if any(len(word) > last for row in cells for word in row[-1].split()):
        return ()
    return (*wide[:-1], last)


def _columns(table: Table, widths: tuple[int, ...]) -> Iterator[str]:
    for row in (table.head, *([_cell(cell) for cell in row] for row in table.rows)):
        start = "  " + "".join(
            f"{text:<{width + GAP}}" for text, width in zip(row[:-1], widths[:-1], strict=True)
        )
        parts = _wrapped(row[-1], width=widths[-1])
        yield start + parts[0]
        yield from (" " * len(start) + part for part in parts[1:])
        if row is table.head:
            yield "  " + (" " * GAP).join("-" * width for width in widths)


def _records(table: Table) -> Iterator[str]:
    width = max(len(name) for name in table.head[1:]) + GAP
    for row in table.rows:
        first = row[0][0]
        named = isinstance(first, Events) and first.bare
        yield from _wrapped(f"event {_cell(row[0])}" if named else _cell(row[0]), "  ", "    ")
        for name, cell in zip(table.head[1:], row[1:], strict=True):
            yield from _labelled(name, cell, width, "    ")


def _picture(picture: Picture) -> Iterator[str]:
    """Draw two modules in a character; dark is ink, as on paper."""
    side = len(picture.modules) + 2 * QUIET
    blank = (False,) * side
    edge = (False,) * QUIET
    rows = [*[blank] * QUIET, *((*edge, *row, *edge) for row in picture.modules)]
    rows += [blank] * (QUIET + side % 2)
    ink = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
    yield f"{picture.says}, the three lines above (dark is ink, as on paper):"
    for upper, lower in zip(rows[0::2], rows[1::2], strict=True):
        yield "".join(ink[pair] for pair in zip(upper, lower, strict=True))


def _cell(cell: Cell) -> str:
    return "".join(_run(run) for run in cell)


def _run(run: Run) -> str:
    match run:
        case str():
            return narrow(run)
        case Code() | Mark():
            return narrow(run.text)
        case RuleId():
            return narrow(run.id)
        case Events():
            shown = ", ".join(str(number) for number in run.numbers)
            return (
                shown if run.bare else f"{'event' if len(run.numbers) == 1 else 'events'} {shown}"
            )
        case Lines():
            return " / ".join(narrow(line) for line in run.lines)
