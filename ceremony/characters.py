r"""Which characters are shown as they are, and which texts differ by case or look alone.

Python's own answers (isprintable, casefold, unicodedata, \w in re) change with the Unicode version
that an interpreter carries: a decision that was recorded under one would come out with other
bytes under the next. Decides by ranges of code points that stand here, by ASCII, and by Unicode
3.2, which every Python carries for the names of the net (RFC 3454). Characters that are newer
than this file are shown. Refuses to know whose text it is.
"""

from __future__ import annotations

import re
from unicodedata import ucd_3_2_0

# Controls, spaces but for the one of ASCII, what formats or turns and is not seen itself, halves
# of pairs, private use, and what never becomes a character or stands where none is yet.
HIDDEN = (
    r"\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\uf8ff\ufdd0-\ufdef\ufeff"
    r"\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U0001fffe\U0001ffff\U0002fffe\U0002ffff"
    r"\U0003fffe-\U000e00ff\U000e01f0-\U0010ffff"
)
# Blocks whose letters run from right to left, and those kept free for such.
TURNING = r"\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff"
# Pictures that Unicode 3.2 took for narrow ones.
WIDE = r"\u231a\u231b\u25fd\u25fe\u2648-\u2653"
# What formats, turns, varies or fills and has no picture of its own, printed or not.
UNSEEN = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
# All that str.split() takes for white space.
WHITE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_HIDDEN = re.compile(f"[{HIDDEN}]")
_TURNING = re.compile(f"[{TURNING}]")
_WIDE = re.compile(f"[{WIDE}]")
_WHITE = re.compile(f"[{WHITE}]+")
_LEFT_OUT = re.compile(f"[{WHITE}{UNSEEN}]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def is_printable(text: str) -> bool:
    """Say whether every character is seen and none acts; of white space only the space is."""
    return text.isprintable() if text.isascii() else _HIDDEN.search(text) is None


def turns(text: str) -> bool:
    """Say whether letters of a text run from right to left."""
    return not text.isascii() and _TURNING.search(text) is not None


def takes_one_column(character: str) -> bool:
    """Say whether a terminal gives a character one column; nobody knows of newer ones."""
    return (
        ucd_3_2_0.category(character) != "Cn"
        and not turns(character)
        and not _WIDE.match(character)
        and not ucd_3_2_0.combining(character)
        and ucd_3_2_0.east_asian_width(character) not in ("W", "F")
    )


def lowered(text: str) -> str:
    """Return a text with the letters of ASCII in lower case and all others as they are."""
    return text.translate(_LOWER)


def likened(text: str) -> str:
    """Return what a text has in common with those that people take for it: NFKC, no case.

    White space is left out, and what nobody sees. What Unicode 3.2 did not know stands as its
    number: a newer Python may know how to compose or fold it. What it did know is folded alike for
    ever (Unicode, Character Encoding Stability Policies).
    """
    if text.isascii():
        return _WHITE.sub("", text.lower())
    known = _BEYOND_ASCII.sub(_known, _LEFT_OUT.sub("", text))
    return _LEFT_OUT.sub("", ucd_3_2_0.normalize("NFKC", known).casefold())


def _known(found: re.Match[str]) -> str:
    one = found[0]
    return one if ucd_3_2_0.category(one) != "Cn" else f"<{ord(one):x}>"
