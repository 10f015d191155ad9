"""One release for the whole folder: keys are made by the real tools, once."""

from __future__ import annotations

import pytest
from quorum.release import Release


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))
