"""The HTML report as a browser, a validator and a printer see it."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from reporting import SPOILED, bundle, report

from transcripts.report.html import html
from tui.commands.report import QR_LEVEL
from tui.parts.qr import matrix

PAGES = {
    "happy": html(report(bundle("happy"))),
    "resumed": html(report(bundle("resumed"))),
    "refused": html(report(bundle("refused_policy"))),
    **{verdict: html(report(spoil(bundle("happy")))) for verdict, spoil in SPOILED.items()},
    "empty": html(report({})),
}
VOID = {"meta", "wbr", "rect", "path"}
ALLOWED = {
    *("html", "head", "title", "style", "body", "header", "nav", "main", "section", "footer"),
    *("h1", "h2", "h3", "p", "ul", "ol", "li", "a", "span", "strong", "code", "pre", "bdi"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "svg"),
    *VOID,
}
ATTRIBUTES = {
    *("id", "class", "href", "lang", "scope", "data-head", "aria-label", "aria-labelledby"),
    *("aria-hidden", "role", "charset", "content", "name", "http-equiv", "xmlns", "viewbox"),
    *("width", "height", "fill", "d"),
}


class Reader(HTMLParser):
    """Collects what stands in a page; a tag that is not closed where it must be is a fault."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("chromium is not installed")


@pytest.mark.parametrize("page", PAGES)
def test_only_known_markup_stands_in_it(page: str) -> None:
    found = Reader(PAGES[page])
    assert {tag for tag, _ in found.tags} <= ALLOWED
    assert {name for _, attributes in found.tags for name in attributes} <= ATTRIBUTES


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_fetched_and_nothing_runs(page: str) -> None:
    found = Reader(PAGES[page])
    links = [a["href"] for _, a in found.tags if "href" in a]
    assert all(link.startswith("#") for link in links)
    assert "url(" not in PAGES[page]
    assert "@import" not in PAGES[page]
    (style,) = re.findall(r"(?s)<style>(.*?)</style>", PAGES[page])
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [a["content"] for _, a in found.tags if "http-equiv" in a]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("page", PAGES)
def test_references_lead_somewhere_and_names_are_given_once(page: str) -> None:
    found = Reader(PAGES[page])
    names = [a["id"] for _, a in found.tags if "id" in a]
    assert len(names) == len(set(names))
    links = {a["href"].removeprefix("#") for _, a in found.tags if "href" in a}
    assert links <= set(names)
    labels = {a["aria-labelledby"] for _, a in found.tags if "aria-labelledby" in a}
    assert labels <= set(names)


@pytest.mark.parametrize("page", PAGES)
def test_a_screen_reader_finds_landmarks_headings_captions_and_scopes(page: str) -> None:
    tags = Reader(PAGES[page]).tags
    names = [tag for tag, _ in tags]
    assert [names.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert next(a["lang"] for tag, a in tags if tag == "html") == "en"
    levels = [int(tag[1]) for tag in names if tag in ("h1", "h2", "h3")]
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert all(a.get("scope") in ("row", "col") for tag, a in tags if tag == "th")
    assert names.count("caption") == names.count("table")
    assert all("aria-label" in a for tag, a in tags if tag == "svg")


@pytest.mark.parametrize("page", PAGES)
def test_tidy_has_nothing_to_say(page: str) -> None:
    tidy = shutil.which("tidy") or pytest.skip("tidy is not installed")
    words = [tidy, "-errors", "-quiet", "-utf8", "--show-warnings", "yes"]
    done = subprocess.run(words, input=PAGES[page].encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_the_code_that_is_drawn_is_that_of_the_checkpoint() -> None:
    modules, _ = matrix(bundle("happy")["checkpoint.txt"], QR_LEVEL)
    (path,) = (a["d"] for tag, a in Reader(PAGES["happy"]).tags if tag == "path")
    dark = set()
    for x, y, width, back in re.findall(r"M(\d+) (\d+)h(\d+)v1H(\d+)z", path):
        assert x == back
        dark |= {(int(x) - 4 + step, int(y) - 4) for step in range(int(width))}
    assert dark == {(x, y) for y, row in enumerate(modules) for x, on in enumerate(row) if on}


@pytest.mark.parametrize("page", ["happy", "FORGED"])
def test_every_printed_page_says_verdict_and_mode(page: str, tmp_path: Path) -> None:
    browser = chromium()
    reader = shutil.which("pdftotext") or pytest.skip("pdftotext is not installed")
    (tmp_path / "report.html").write_text(PAGES[page], "utf-8")
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
         f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'report.pdf'}",
         (tmp_path / "report.html").as_uri()],
        capture_output=True, timeout=240, check=True,
    )  # fmt: skip
    done = subprocess.run(
        [reader, "-layout", tmp_path / "report.pdf", "-"], capture_output=True, check=True
    )
    *sheets, end = done.stdout.decode().split("\f")
    assert end == ""
    assert len(sheets) > 5
    verdict = "REPRODUCED" if page == "happy" else page
    for number, sheet in enumerate(sheets, 1):
        assert f"{verdict} - REHEARSAL" in sheet
        assert f"Page {number} of {len(sheets)}" in sheet
