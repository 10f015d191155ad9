"""How text out of a record stands in a report: every character seen, none obeyed.

What is not printable (controls, escapes, bidirectional overrides, zero-width characters) is
shown as its escape. Two things are left to each form: markup, and letters of other widths
or directions.
"""

from __future__ import annotations

from ceremony.characters import is_printable, takes_one_column
from ceremony.show import escaped

MOST_CHARACTERS = 20_000  # of one run; the longest command line, every byte of it escaped, fits


def seen(text: str) -> str:
    """Return `text` in one line, with every character that is not printable as its escape."""
    whole = bounded(text)
    if is_printable(whole):
        return whole
    return "".join(c if is_printable(c) else escaped(c) for c in whole)


def bounded(text: str) -> str:
    """Return at most MOST_CHARACTERS of `text`; a cut text ends with "..."."""
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def narrow(text: str) -> str:
    """Return `text` as `seen` does, in characters that each take one column of a terminal."""
    shown = seen(text)
    return (
        shown
        if shown.isascii()
        else "".join(c if takes_one_column(c) else escaped(c) for c in shown)
    )
