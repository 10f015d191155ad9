"""Lines as they stand on the screen: within the glyph budget, wrapped with a hanging indent.

The budget is what the kernel's own console fonts draw: CP437. A character outside it is
shown escaped, so that nothing on the screen is a box that means anything.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from textual.content import Content

from ceremony.show import escaped

BUDGET = frozenset(bytes(range(0x20, 0x7F)).decode() + bytes(range(0x80, 0x100)).decode("cp437"))
MARKS = frozenset("►√")  # CP437 0x10 and 0xFB
DONE, HERE, BAD_MARK, NOT_DONE, NOTE = "√", "►", "x", "-", "!"

STRONG = "ansi_bright_white"
ASKED = "ansi_bright_yellow"
GOOD = "ansi_bright_green"
BAD = "ansi_bright_red"
FAINT = "ansi_cyan"

LABEL = re.compile(r"(?=\S).{1,18}?\S? {2,}(?=\S)")
MOST_INDENT = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line before wrapping, its style, and its hanging indent (None: as indent_of says)."""

    text: str
    style: str = ""
    hang: int | None = None


def drawable(text: str) -> str:
    """Return `text` with every character outside the glyph budget escaped."""
    return "".join(c if c in BUDGET or c in MARKS else escaped(c) for c in text)


def indent_of(text: str) -> int:
    """Return the hanging indent: after a label and its spaces, or the leading spaces."""
    leading = len(text) - len(text.lstrip(" "))
    label = LABEL.match(text, leading)
    place = label.end() if label else leading + (0 if leading else 2)
    return min(place, MOST_INDENT)


def wrap(text: str, width: int, hang: int | None = None) -> tuple[str, ...]:
    """Return `text` in rows of at most `width` cells, a long word broken; never empty."""
    shown = drawable(text)
    if len(shown) <= width:
        return (shown,)
    rows = textwrap.wrap(
        shown,
        max(width, MOST_INDENT + 1),
        subsequent_indent=" " * (indent_of(shown) if hang is None else hang),
        break_on_hyphens=False,
    )
    return tuple(rows) or ("",)


def wrap_all(lines: Iterable[Line], width: int) -> tuple[Content, ...]:
    """Return every line wrapped, each row with its line's style."""
    return tuple(
        Content.styled(row, line.style) if line.style else Content(row)
        for line in lines
        for row in wrap(line.text, width, line.hang)
    )


def styled(lines: Iterable[str], style: str = "") -> tuple[Line, ...]:
    """Return texts as lines of one style."""
    return tuple(Line(text, style) for text in lines)
