"""A report as one HTML file: no script, nothing fetched, for browser, screen reader and paper.

Everything out of the record goes through markup.py, which escapes it. A Content-Security-
Policy allows this file's own style sheet by its digest, and nothing else. References lead
to the rows they name.

Source: HTML Living Standard; WCAG 2.2; CSS Paged Media for what repeats on every page.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

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
    Paragraph,
    Picture,
    Report,
    RuleId,
    Run,
    Section,
    Table,
)
from transcripts.report.markup import code, drawn, kind_of, marked, whole, words
from transcripts.report.style import sheet

SMALL = 12  # rows of a table that is not divided between pages
_RULE = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)*")
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
        yield f"<title>{marked(banner.line)} - {marked(report.title)}</title>"
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
        yield f"<p>Written by {marked(report.made_by)} from the bundle alone. It bears no date: "
        yield "the same bundle and program give the same bytes.</p>"
        yield "</footer>"
        yield "</body>"
        yield "</html>"

    def _header(self) -> Iterator[str]:
        banner = self._report.banner
        yield "<header>"
        yield f'<p class="banner"><strong>{marked(banner.verdict)}</strong> '
        yield f"<strong>{marked(banner.mode)}</strong> <span>{marked(banner.says)}</span></p>"
        if not banner.sound or banner.practice:
            words = " ".join(_stamps(banner))
            yield f'<p class="edge" aria-hidden="true">{marked(words)}</p>'
        yield f"<h1>{marked(self._report.title)}</h1>"
        yield f"<p>Ceremony {code(banner.ceremony or 'unknown')}</p>"
        yield "</header>"

    def _contents(self) -> Iterator[str]:
        yield '<nav aria-labelledby="contents">'
        yield '<h2 id="contents">Contents</h2>'
        yield "<ol>"
        for section in self._report.sections:
            yield f'<li><a href="#{section.name}">{marked(section.title)}</a></li>'
        yield "</ol>"
        yield "</nav>"

    def _section(self, number: int, section: Section) -> Iterator[str]:
        banner = self._report.banner
        yield f'<section id="{section.name}" aria-labelledby="{section.name}-title">'
        yield f'<h2 id="{section.name}-title">{number} {marked(section.title)}</h2>'
        if not banner.sound:
            yield f'<p class="claims">{marked(banner.verdict)}: what follows is only claimed.</p>'
        for block in section.blocks:
            yield from self._block(block)
        yield "</section>"

    def _block(self, block: Block) -> Iterator[str]:
        match block:
            case Paragraph():
                yield f"<p>{self._cell(block.runs)}</p>"
            case Heading():
                yield f"<h3>{marked(block.text)}</h3>"
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
                yield from drawn(block)

    def _facts(self, facts: Facts) -> Iterator[str]:
        small = " small" if len(facts.rows) <= SMALL else ""
        yield f'<table class="facts{small}">'
        yield f"<caption>{marked(facts.caption)}</caption>"
        yield "<tbody>"
        for name, value in facts.rows:
            yield f'<tr><th scope="row">{marked(name)}</th><td>{self._cell(value)}</td></tr>'
        yield "</tbody>"
        yield "</table>"

    def _table(self, table: Table) -> Iterator[str]:
        if not table.rows:
            return
        tall = any(isinstance(run, Lines) for row in table.rows for cell in row for run in cell)
        small = len(table.rows) <= SMALL and not tall
        yield '<table class="small">' if small else "<table>"
        yield f"<caption>{marked(table.caption)}</caption>"
        heads = "".join(f'<th scope="col">{marked(name)}</th>' for name in table.head)
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
            kind = kind_of(cell)
            short = f' class="{kind}"' if kind else ""
            # A narrow screen shows each cell below its column's head.
            own = bool(table.anchor) and place == 0
            # A break that is offered is taken even where the style sheet says not to.
            inner = whole(cell) if kind == "digest" else self._cell(cell, own=own)
            end = "</th>" if place == 0 else "</td>"
            cells.append(f'{tag}{short} data-head="{marked(name)}">{inner}{end}')
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
                return words(run)
            case Code():
                return code(run.text)
            case Mark():
                kind = "good" if run.good else "mark"
                return f'<strong class="{kind}">{words(run.text)}</strong>'
            case RuleId():
                if own or run.id not in self._rules:
                    return f'<span class="rule">{words(run.id)}</span>'
                return f'<a class="rule" href="#rule-{run.id}">{run.id}</a>'
            case Events():
                return self._references(run, own=own)
            case Lines():
                return f"<pre>{chr(10).join(marked(line) for line in run.lines)}</pre>"

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


def _classes(banner: Banner) -> str:
    return " ".join(
        ("sound" if banner.sound else "unsound", "practice" if banner.practice else "production")
    )


def _stamps(banner: Banner) -> Iterator[str]:
    if not banner.sound:
        yield banner.verdict
    if banner.practice:
        yield banner.mode
