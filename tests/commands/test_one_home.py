"""All four rooms come from one place, or nothing runs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from marks import accepts, refuses

from ceremony.errors import Refused
from tui.identity import require_one_home, tool_sha256


@accepts("AIR-PROGRAM")
def test_the_installed_program_is_one() -> None:
    require_one_home()
    assert len(tool_sha256()) == 64


@refuses("AIR-PROGRAM")
@pytest.mark.parametrize("room", ["hsm", "ceremony", "transcripts"])
def test_a_room_from_elsewhere_is_refused(
    room: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stranger = ModuleType(room)
    stranger.__file__ = str(tmp_path / room / "__init__.py")
    monkeypatch.setitem(sys.modules, room, stranger)
    with pytest.raises(Refused) as refused:
        require_one_home()
    assert refused.value.findings[0].rule == "AIR-PROGRAM"
