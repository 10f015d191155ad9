"""Text and pictures as HTML: the one place where a record's characters become markup.

Everything is escaped. A long word gets places where it may be broken, so that no column
grows beyond the page, with a style sheet or without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from ceremony.characters import WHITE, turns
from transcripts.report.document import Cell, Code, Lines, Mark, Matrix, Picture, RuleId
from transcripts.report.escaping import bounded, seen

QUIET = 4  # modules, ISO/IEC 18004 5.3.8
LONG_WORD = 24  # characters; a longer word may be broken
SHORT_CELL = 24
_HEX, _HEX_PIECE = re.compile(r"[0-9a-f]+"), re.compile(r".{1,8}", re.DOTALL)
_WORD_PIECE = re.compile(r"[^/._:,-]{1,16}[/._:,-]?|[/._:,-]", re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(rf"[^{WHITE}]{{{LONG_WORD + 1},}}")


def marked(text: str) -> str:
    """Return text out of the record as HTML: the one way in."""
    shown = escape(seen(text), quote=True)
    return f"<bdi>{shown}</bdi>" if turns(text) else shown


def whole(cell: Cell) -> str:
    """Return a cell of codes that is never broken."""
    return "".join(f"<code>{marked(run.text)}</code>" for run in cell if isinstance(run, Code))


def words(text: str) -> str:
    """Return text whose long words can be broken."""
    if len(text) <= LONG_WORD:
        return marked(text)
    text = bounded(text)
    parts, end = [], 0
    for word in _WORD.finditer(text):
        parts += [marked(text[end : word.start()]), _pieces(word[0])]
        end = word.end()
    return "".join((*parts, marked(text[end:])))


def _pieces(word: str) -> str:
    cut = _HEX_PIECE if _HEX.fullmatch(word) else _WORD_PIECE
    return "<wbr>".join(marked(piece) for piece in cut.findall(word))


def code(text: str) -> str:
    """Return text to be compared character by character."""
    return f"<code>{words(text)}</code>"


def kind_of(cell: Cell) -> str:
    """Return how wide a cell is: a listing, a digest, one short word, or as it comes."""
    match cell:
        case (Lines(),):
            return "lines"
        case (Code(text=text),) if _DIGEST.fullmatch(text):
            return "digest"
    texts = [
        getattr(run, "text", getattr(run, "id", run))
        for run in cell
        if isinstance(run, str | Code | Mark | RuleId)
    ]
    joined = "".join(str(text) for text in texts)
    short = len(texts) == len(cell) and len(joined) <= SHORT_CELL and " " not in joined
    return "short" if short else ""


def drawn(picture: Picture) -> Iterator[str]:
    """Yield a QR code as SVG, with its quiet zone."""
    side = len(picture.modules) + 2 * QUIET
    yield '<figure class="qr">'
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" role="img" '
        f'aria-label="{marked(picture.says)}">'
    )
    yield f'<rect width="{side}" height="{side}" fill="#fff"/>'
    yield f'<path d="{_path(picture.modules)}" fill="#000"/>'
    yield "</svg>"
    yield f"<figcaption>{marked(picture.says)}, the three lines above.</figcaption>"
    yield "</figure>"


def _path(modules: Matrix) -> str:
    """Return the dark modules as an SVG path, a rectangle for each run in a row."""
    runs = []
    for y, row in enumerate(modules, QUIET):
        start = 0
        for x in range(len(row) + 1):
            if x == len(row) or not row[x]:
                if x > start:
                    runs.append(f"M{start + QUIET} {y}h{x - start}v1H{start + QUIET}z")
                start = x + 1
    return "".join(runs)
