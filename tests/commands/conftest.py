"""Fixtures of the commands' tests."""

from __future__ import annotations

import subprocess

import pytest
from commands.builder_desk import tool

from tui.building import sandbox
from tui.building.sandbox import ROOMS, Bubblewrap, Site


@pytest.fixture(scope="session")
def bubblewrap() -> Bubblewrap:
    """Return bubblewrap if it can make rooms here, with users of their own if it can."""
    tool("bwrap")
    found = sandbox.find()
    words = [found.program, *Site(found, (), 0).options(ROOMS[0], 0), "--", "true"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"bwrap makes no sandbox here: {done.stderr.decode().strip()}")
    return found
