from __future__ import annotations

import pytest
from boot.people import People, make_people


@pytest.fixture(scope="session")
def people() -> People:
    return make_people()
