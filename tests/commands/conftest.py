"""Fixtures of the commands' tests."""

from __future__ import annotations

import pytest
from commands.builder_desk import tool
from tokens.namespaces import needed_namespaces

from tui.building import sandbox
from tui.building.sandbox import ROOMS, Bubblewrap, Site


@pytest.fixture(scope="session")
def bubblewrap() -> Bubblewrap:
    """Return bubblewrap if it can make rooms here, with users of their own if it can."""
    tool("bwrap")
    found = sandbox.find()
    words = Site(found, (), 0).options(ROOMS[0], 0)
    at = words.index("--seccomp")  # its filter comes through a descriptor; namespaces are asked
    needed_namespaces([found.program, *words[:at], *words[at + 2 :], "--", "true"])
    return found
