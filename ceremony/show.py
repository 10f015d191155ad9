"""How bytes and names from outside are put before people: escaped, bounded, grouped.

Nothing that arrived on media reaches a terminal, a report or a transcript's prose raw.
"""

from __future__ import annotations

from collections.abc import Iterator

from ceremony.characters import is_printable

MOST_CHARACTERS = 120


def escaped(text: str, most: int = MOST_CHARACTERS) -> str:
    r"""Return `text` in printable ASCII, other characters as \xNN, \uNNNN or \UNNNNNNNN.

    At most `most` characters are returned; a cut text ends with "...".
    """
    if len(text) <= most and text.isascii() and text.isprintable() and "\\" not in text:
        return text
    shown = "".join(_escape(text[: most + 1]))
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def _escape(text: str) -> Iterator[str]:
    for character in text:
        if character == "\\":
            yield "\\\\"
        elif " " <= character <= "~":
            yield character
        else:
            yield _code(character)


def _code(character: str) -> str:
    if character < " ":
        return f"\\x{ord(character):02x}"
    return character.encode("ascii", "backslashreplace").decode("ascii").replace("\x7f", "\\x7f")


def grouped(hex_digits: str, group: int = 8) -> str:
    """Return hex digits in groups of `group`, a space between."""
    return " ".join(hex_digits[i : i + group] for i in range(0, len(hex_digits), group))


def counted(number: int, unit: str = "bytes") -> str:
    """Return a number with thousands separated by commas, and its unit."""
    return f"{number:,} {unit}"


def printable(text: str) -> str:
    """Return `text` with every character that is not printable as its escape, newlines kept."""
    if is_printable(text.replace("\n", "")):
        return text
    return "".join(
        character if character == "\n" or is_printable(character) else escaped(character)
        for character in text
    )
