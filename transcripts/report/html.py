"""A report as one HTML file: no script, nothing fetched, for browser, screen reader and paper.

Everything out of the record goes through one function that escapes it. A Content-Security-
Policy allows this file's own style sheet by its digest, and nothing else. References lead
to the rows they name. Long words can be broken at known places, so that no column grows
beyond the page.

Source: HTML Living Standard; WCAG 2.2; CSS Paged Media for what repeats on every page.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html import escape

from transcripts.report.document import (
    Banner,
    Block,
    Bullets,
    Cell,
    Code,
    Events,
    Facts,
    Heading,
    Lines,
    Mark,
    Matrix,
    Paragraph,
    Picture,
    Report,
    RuleId,
    Run,
    Section,
    Table,
)
from transcripts.report.escaping import seen, turns
from transcripts.report.style import sheet

QUIET = 4  # modules, ISO/IEC 18004 5.3.8
LONG_WORD, PIECE = 20, 8  # a word longer than the one may be broken after each of the other
SHORT_CELL = 20
_RULE = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)*")
_WORD = re.compile(rf"\S{{{LONG_WORD + 1},}}")
_FIELDS = '<meta http-equiv="Content-Security-Policy" content="{policy}">'


def html(report: Report) -> str:
    """Return the whole file."""
    return "\n".join((*_Page(report).lines(), ""))


class _Page:
    """One file in the making; it knows which rows references can lead to."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._events: set[int] = set()
        self._rules: set[str] = set()
        for table in (b for s in report.sections for b in s.blocks if isinstance(b, Table)):
            for row in table.rows:
                match table.anchor, row[0][0]:
                    case "event", Events(numbers=numbers):
                        self._events |= set(numbers)
                    case "rule", RuleId(id=name) if _RULE.fullmatch(name):
                        self._rules.add(name)
                    case _:
                        pass

    def lines(self) -> Iterator[str]:
        report, banner = self._report, self._report.banner
        style = sheet(banner)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'"
        yield "<!DOCTYPE html>"
        yield '<html lang="en">'
        yield "<head>"
        yield '<meta charset="utf-8">'
        yield _FIELDS.format(policy=f"{policy}; form-action 'none'")
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield '<meta name="referrer" content="no-referrer">'
        yield f"<title>{_text(banner.line)} - {_text(report.title)}</title>"
        yield f"<style>{style}</style>"
        yield "</head>"
        yield f'<body class="{_classes(banner)}">'
        yield '<p class="skip"><a href="#main">Skip to the summary</a></p>'
        yield from self._header()
        yield from self._contents()
        yield '<main id="main">'
        for number, section in enumerate(report.sections, 1):
            yield from self._section(number, section)
        yield "</main>"
        yield "<footer>"
        yield f"<p>Written by {_text(report.made_by)} from the bundle alone. It bears no date: "
        yield "the same bundle and program give the same bytes.</p>"
        yield "</footer>"
        yield "</body>"
        yield "</html>"

    def _header(self) -> Iterator[str]:
        banner = self._report.banner
        yield "<header>"
        yield f'<p class="banner"><strong>{_text(banner.verdict)}</strong> '
        yield f"<strong>{_text(banner.mode)}</strong> <span>{_text(banner.says)}</span></p>"
        if not banner.sound or banner.practice:
            words = " ".join(_stamps(banner))
            yield f'<p class="edge" aria-hidden="true">{_text(words)}</p>'
        yield f"<h1>{_text(self._report.title)}</h1>"
        yield f"<p>Ceremony {_broken(banner.ceremony or 'unknown')}</p>"
        yield "</header>"

    def _contents(self) -> Iterator[str]:
        yield '<nav aria-labelledby="contents">'
        yield '<h2 id="contents">Contents</h2>'
        yield "<ol>"
        for section in self._report.sections:
            yield f'<li><a href="#{section.name}">{_text(section.title)}</a></li>'
        yield "</ol>"
        yield "</nav>"

    def _section(self, number: int, section: Section) -> Iterator[str]:
        banner = self._report.banner
        yield f'<section id="{section.name}" aria-labelledby="{section.name}-title">'
        yield f'<h2 id="{section.name}-title">{number} {_text(section.title)}</h2>'
        if not banner.sound:
            yield f'<p class="claims">{_text(banner.verdict)}: what follows is only claimed.</p>'
        for block in section.blocks:
            yield from self._block(block)
        yield "</section>"

    def _block(self, block: Block) -> Iterator[str]:
        match block:
            case Paragraph():
                yield f"<p>{self._cell(block.runs)}</p>"
            case Heading():
                yield f"<h3>{_text(block.text)}</h3>"
            case Bullets():
                yield "<ul>"
                for item in block.items:
                    yield f"<li>{self._cell(item)}</li>"
                yield "</ul>"
            case Facts():
                yield from self._facts(block)
            case Table():
                yield from self._table(block)
            case Picture():
                yield from _picture(block)

    def _facts(self, facts: Facts) -> Iterator[str]:
        yield '<table class="facts">'
        yield f"<caption>{_text(facts.caption)}</caption>"
        yield "<tbody>"
        for name, value in facts.rows:
            yield f'<tr><th scope="row">{_text(name)}</th><td>{self._cell(value)}</td></tr>'
        yield "</tbody>"
        yield "</table>"

    def _table(self, table: Table) -> Iterator[str]:
        if not table.rows:
            return
        yield "<table>"
        yield f"<caption>{_text(table.caption)}</caption>"
        heads = "".join(f'<th scope="col">{_text(name)}</th>' for name in table.head)
        yield f"<thead><tr>{heads}</tr></thead>"
        yield "<tbody>"
        for row in table.rows:
            yield self._row(table, row)
        yield "</tbody>"
        yield "</table>"
        if table.more:
            yield f"<p>and {table.more:,} more, which are in the transcript.</p>"

    def _row(self, table: Table, row: tuple[Cell, ...]) -> str:
        cells = []
        for place, (name, cell) in enumerate(zip(table.head, row, strict=True)):
            tag = '<th scope="row"' if place == 0 else "<td"
            short = ' class="short"' if _is_short(cell) else ""
            # A narrow screen shows each cell below its column's head.
            inner = self._cell(cell, own=bool(table.anchor) and place == 0)
            end = "</th>" if place == 0 else "</td>"
            cells.append(f'{tag}{short} data-head="{_text(name)}">{inner}{end}')
        return f"<tr{self._anchor(table, row)}>{''.join(cells)}</tr>"

    def _anchor(self, table: Table, row: tuple[Cell, ...]) -> str:
        match table.anchor, row[0][0]:
            case "event", Events(numbers=(number,)):
                return f' id="event-{number}"'
            case "rule", RuleId(id=name) if name in self._rules:
                return f' id="rule-{name}"'
            case _:
                return ""

    def _cell(self, cell: Cell, *, own: bool = False) -> str:
        """Return a cell's runs; `own` where it is itself the place that references lead to."""
        return "".join(self._run(run, own=own) for run in cell)

    def _run(self, run: Run, *, own: bool) -> str:
        match run:
            case str():
                return _words(run)
            case Code():
                return _broken(run.text)
            case Mark():
                kind = "good" if run.good else "mark"
                return f'<strong class="{kind}">{_words(run.text)}</strong>'
            case RuleId():
                if own or run.id not in self._rules:
                    return _broken(run.id)
                return f'<a href="#rule-{run.id}">{run.id}</a>'
            case Events():
                return self._references(run, own=own)
            case Lines():
                return f"<pre>{chr(10).join(_text(line) for line in run.lines)}</pre>"

    def _references(self, events: Events, *, own: bool) -> str:
        shown = [
            f'<a href="#event-{number}">{number}</a>'
            if number in self._events and not own
            else str(number)
            for number in events.numbers
        ]
        if events.bare:
            return ", ".join(shown)
        return f"{'event' if len(shown) == 1 else 'events'} {', '.join(shown)}"


def _text(text: str) -> str:
    """Return text out of the record as HTML: the one way in."""
    shown = escape(seen(text), quote=True)
    return f"<bdi>{shown}</bdi>" if turns(text) else shown


def _words(text: str) -> str:
    """Return text whose long words can be broken."""
    if len(text) <= LONG_WORD:
        return _text(text)
    parts, end = [], 0
    for word in _WORD.finditer(text):
        parts += [_text(text[end : word.start()]), _pieces(word[0])]
        end = word.end()
    return "".join((*parts, _text(text[end:])))


def _pieces(word: str) -> str:
    cut = (word[at : at + PIECE] for at in range(0, len(word), PIECE))
    return "<wbr>".join(_text(piece) for piece in cut)


def _broken(text: str) -> str:
    return f"<code>{_words(text)}</code>"


def _is_short(cell: Cell) -> bool:
    """Tell whether a cell is one short word, which is never broken."""
    texts = [getattr(run, "text", run) for run in cell if isinstance(run, str | Code | Mark)]
    whole = "".join(str(text) for text in texts)
    return len(texts) == len(cell) and len(whole) <= SHORT_CELL and " " not in whole


def _classes(banner: Banner) -> str:
    return " ".join(
        ("sound" if banner.sound else "unsound", "practice" if banner.practice else "production")
    )


def _stamps(banner: Banner) -> Iterator[str]:
    if not banner.sound:
        yield banner.verdict
    if banner.practice:
        yield banner.mode


def _picture(picture: Picture) -> Iterator[str]:
    side = len(picture.modules) + 2 * QUIET
    yield '<figure class="qr">'
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" role="img" '
        'aria-labelledby="qr-title" shape-rendering="crispEdges">'
    )
    yield f'<title id="qr-title">{_text(picture.says)}</title>'
    yield f'<rect width="{side}" height="{side}" fill="#fff"/>'
    yield f'<path d="{_path(picture.modules)}" fill="#000"/>'
    yield "</svg>"
    yield f"<figcaption>{_text(picture.says)}, the three lines above.</figcaption>"
    yield "</figure>"


def _path(modules: Matrix) -> str:
    """Return the dark modules as an SVG path, a rectangle for each run in a row."""
    drawn = []
    for y, row in enumerate(modules, QUIET):
        start = 0
        for x in range(len(row) + 1):
            if x == len(row) or not row[x]:
                if x > start:
                    drawn.append(f"M{start + QUIET} {y}h{x - start}v1H{start + QUIET}z")
                start = x + 1
    return "".join(drawn)
