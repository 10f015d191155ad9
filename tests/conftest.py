"""What every test folder shares: hypothesis without a clock, and real rehearsals to copy."""

from __future__ import annotations

from pathlib import Path

import pytest
import rehearsing
from hypothesis import HealthCheck, settings

from tui.rehearsal.prepare import Prepared

settings.register_profile(
    "ceremony", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ceremony")


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return rehearsing.make(tmp_path_factory.mktemp("prepared") / "r")


@pytest.fixture(scope="session")
def _finished(_prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    finished = rehearsing.copy(_prepared, tmp_path_factory.mktemp("finished") / "r")
    assert rehearsing.held(finished).released
    return finished


@pytest.fixture
def prepared(_prepared: Prepared, tmp_path: Path) -> Prepared:
    """Return a rehearsal that is ready to be held, this test's own copy."""
    return rehearsing.copy(_prepared, tmp_path / "r")


@pytest.fixture
def finished(_finished: Prepared, tmp_path: Path) -> Prepared:
    """Return a rehearsal that was held to its end, this test's own copy."""
    return rehearsing.copy(_finished, tmp_path / "f")
