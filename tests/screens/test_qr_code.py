"""The QR code: what is drawn on the screen is read by another library, or it says why not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from ctypes.util import find_library
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.segment import Segment

from ceremony.questions import Question
from ceremony.steps import Step
from tui.console import Blocks
from tui.parts import qr
from tui.parts.qr import Cell

if TYPE_CHECKING:
    from tests.screens.conftest import Film, Scene, Stage

needs_zbar = pytest.mark.skipif(find_library("zbar") is None, reason="libzbar0 is not installed")
TEXT = b"uki-ceremony/5f3a91c27d0e4b86a1c94e2f60b7d835/production\n123\n" + b"A" * 43 + b"=\n"
LIGHT = "color(15)"  # bright white, SGR 97 and 107


def read(cells: qr.Cells) -> bytes:
    pixels, width, height = qr.picture(cells)
    return subprocess.run(
        [sys.executable, "-I", str(qr.READER), str(width), str(height)],
        input=pixels, capture_output=True, check=True,
    ).stdout  # fmt: skip


@needs_zbar
def test_the_code_on_the_screen_is_read_back(film: Film, stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        moment = film.at_step(Step.CLOSE)
        await on.play(moment)
        await on.pilot.press("pagedown", "pagedown", "pagedown")
        text = await on.text()
        assert "read back: equal" in text
        assert len(text.splitlines()) == 25
        strips = on.app.screen._compositor.render_strips()
        cells = tuple(_cells(list(strip))[16:59] for strip in strips[2:24])
        assert read(cells) == film.head.text
        await on.pilot.press("pageup")
        assert "10 of 10  CLOSE" in await on.text()

    stage(scene)


@needs_zbar
@pytest.mark.parametrize("columns", [109, 120, 140])
def test_a_plan_has_its_code_where_the_screen_is_large_enough(
    film: Film, stage: Callable[..., None], columns: int
) -> None:
    """On a screen with little room beside the code, the text there once tore it."""

    async def scene(on: Stage) -> None:
        moment = film.at("sign.approve")
        assert isinstance(moment.wanted, Question)
        await on.play(moment, room=(columns - 16, 47))
        assert "QR code read back: equal, PageDown shows it" in await on.text()
        await on.pilot.press("pagedown")
        assert ("of plan.txt" in await on.text()) is (columns == 140)
        strips = on.app.screen._compositor.render_strips()
        cells = tuple(_cells(list(strip))[16:109] for strip in strips[2:49])
        assert read(cells) == moment.wanted.document.encode()
        await on.pilot.press("f9")
        assert "7 of 10  SIGN" in await on.text()

    stage(scene, (columns, 50))


def _cells(segments: list[Segment]) -> tuple[Cell, ...]:
    """Return a row of the screen as cells: what the terminal is told, not what we meant."""
    cells = []
    for text, style, _ in segments:
        ink = bool(style and style.color and style.color.name == LIGHT)
        ground = bool(style and style.bgcolor and style.bgcolor.name == LIGHT)
        cells += [Cell(glyph, ink, ground) for glyph in text]
    return tuple(cells)


def test_every_cell_says_both_its_colours(film: Film, stage: Callable[[Scene], None]) -> None:
    async def scene(on: Stage) -> None:
        await on.play(film.at_step(Step.CLOSE))
        await on.pilot.press("pagedown", "pagedown", "pagedown")
        await on.text()
        for strip in on.app.screen._compositor.render_strips()[2:24]:
            for text, style, _ in strip:
                if "▀" in text:
                    assert set(text) == {"▀"}
                    assert style
                    assert style.color
                    assert style.bgcolor

    stage(scene)


@needs_zbar
@pytest.mark.parametrize("blocks", list(Blocks))
def test_every_way_of_drawing_is_read(blocks: Blocks) -> None:
    code = qr.make(TEXT, 200, 100, blocks)
    assert code.equal
    assert code.said == "read back: equal"
    assert read(code.cells) == TEXT


@needs_zbar
def test_the_longest_checkpoint_fits_beside_the_checklist() -> None:
    for count in (b"7", b"4321"):
        code = qr.make(TEXT.replace(b"123", count), 64, 22, Blocks.CELLS)
        assert code.equal
        assert len(code.cells) <= 22


def test_a_code_that_does_not_fit_is_not_drawn() -> None:
    code = qr.make(TEXT, 64, 22, Blocks.FULL)
    assert code.cells == ()
    assert not code.equal
    assert code.said == "not drawn: it does not fit this screen"


@needs_zbar
def test_a_code_with_a_wrong_module_is_not_called_equal() -> None:
    other = qr.make(TEXT.replace(b"123", b"124"), 64, 22, Blocks.CELLS)
    assert qr.read_back(other.cells, TEXT) == (
        False, "READ BACK DIFFERENTLY: do not use this code",
    )  # fmt: skip
    blank = tuple(tuple(Cell("▀", ink=True, ground=True) for _ in row) for row in other.cells)
    assert qr.read_back(blank, TEXT) == (False, "NOT READABLE: do not use this code")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit(3)", "not read back: pyzbar is not installed"),
        ("raise SystemExit(4)", "not read back: libzbar0 is not installed"),
        ("import os; os.abort()", "not read back: the reader failed"),
    ],
)
def test_a_reader_that_is_missing_or_crashes_is_named(
    program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = tmp_path / "reader.py"
    reader.write_text(program)
    monkeypatch.setattr(qr, "READER", reader)
    code = qr.make(TEXT, 64, 22, Blocks.CELLS)
    assert (code.equal, code.said) == (False, said)
    assert code.cells


def test_the_reader_says_when_the_system_library_is_missing(tmp_path: Path) -> None:
    """A pyzbar whose library does not load raises ImportError, as the real one does."""
    package = tmp_path / "pyzbar"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "pyzbar.py").write_text("raise ImportError('Unable to find zbar shared library')")
    script = f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = ['1', '1'];"
    script += f"runpy.run_path({str(qr.READER)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-c", script], input=b"x", check=False)
    assert done.returncode == 4
