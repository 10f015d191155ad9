"""Which terminals are refused, with what helps, and how a QR code is drawn on each."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tui.console import (
    FULL,
    LOWER,
    UPPER,
    Blocks,
    Terminal,
    UnfitTerminal,
    choose_blocks,
    console_glyphs,
    probe,
    require,
    scrub_environment,
)

GOOD = Terminal(80, 25, "linux", tty=True, encoding="utf-8", blocks=Blocks.CELLS)


def test_a_console_of_80x25_is_enough() -> None:
    require(GOOD)


@pytest.mark.parametrize(
    ("terminal", "helps"),
    [
        (Terminal(64, 24, "linux", tty=True, encoding="utf-8", blocks=Blocks.CELLS), "fbcon=font:"),
        (Terminal(80, 24, "xterm", tty=True, encoding="utf-8", blocks=Blocks.CELLS), "25 rows"),
        (Terminal(80, 25, "dumb", tty=True, encoding="utf-8", blocks=Blocks.CELLS), "--plain"),
        (Terminal(80, 25, "", tty=True, encoding="utf-8", blocks=Blocks.CELLS), "--plain"),
        (Terminal(80, 25, "xterm", tty=True, encoding="ascii", blocks=Blocks.CELLS), "C.UTF-8"),
        (Terminal(80, 25, "xterm", tty=False, encoding="utf-8", blocks=Blocks.CELLS), "--plain"),
    ],
)
def test_what_cannot_show_the_frame_is_refused_with_what_helps(
    terminal: Terminal, helps: str
) -> None:
    with pytest.raises(UnfitTerminal, match=helps) as refused:
        require(terminal)
    assert len(str(refused.value).splitlines()) >= 3


def test_textuals_variables_go_before_textual_comes() -> None:
    environ = {
        "TEXTUAL_PRESS": "q",
        "LINES": "24",
        "COLUMNS": "64",
        "TEXTUAL_LOG": "/tmp/x",
        "TERM": "linux",
        "XTEXTUAL_": "1",
    }
    scrub_environment(environ)
    assert environ == {"TERM": "linux", "XTEXTUAL_": "1"}


def test_probing_does_not_import_textual() -> None:
    code = "import sys, tui.console as c; c.probe(); print('textual' in sys.modules)"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, check=True
    )
    assert done.stdout == b"False\n"


def test_no_terminal_at_all() -> None:
    code = "import tui.console as c; c.require(c.probe())"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, stdin=subprocess.DEVNULL, capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"There is no terminal to draw on." in done.stderr


def test_a_pipe_and_a_pseudo_terminal_are_no_console() -> None:
    read, write = os.pipe()
    master, slave = os.openpty()
    try:
        assert console_glyphs(write) is None
        assert console_glyphs(slave) is None
    finally:
        for descriptor in (read, write, master, slave):
            os.close(descriptor)
    assert probe().blocks is Blocks.CELLS


@pytest.mark.parametrize(
    ("points", "blocks"),
    [
        (None, Blocks.CELLS),
        (frozenset({UPPER, LOWER, FULL, 65}), Blocks.HALVES),
        (frozenset({UPPER, FULL}), Blocks.FULL),
        (frozenset({FULL}), Blocks.FULL),
        (frozenset({65}), Blocks.SPACES),
    ],
)
def test_the_fonts_glyphs_decide_how_a_code_is_drawn(
    points: frozenset[int] | None, blocks: Blocks
) -> None:
    assert choose_blocks(points) is blocks
