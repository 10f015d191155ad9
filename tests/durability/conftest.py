"""A rehearsal with the embedded key, in memory: only calls count here, not what they cost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import rehearsing

from ceremony.errors import TokenTrouble
from tui.rehearsal import prepare

MEMORY = Path("/dev/shm")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with a rehearsal `r` that uses the embedded key."""

    def no_module(*_: object, **__: object) -> None:
        raise TokenTrouble("KEY-MODULE", "none is wanted here")

    monkeypatch.setattr(prepare, "make_rehearsal_token", no_module)
    cheap = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=cheap, prefix="durability-") as folder:
        rehearsing.make(Path(folder, "r"))
        yield Path(folder)
