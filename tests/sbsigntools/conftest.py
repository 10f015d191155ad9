"""A desk for every test of the drop-in commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from pe.images import Signer, signer, uki
from sbsigntools.desk import Desk


@pytest.fixture(scope="session")
def _alice() -> Signer:
    return signer("alice")


@pytest.fixture(scope="session")
def _bob() -> Signer:
    return signer("bob")


@pytest.fixture
def desk(_alice: Signer, _bob: Signer, tmp_path: Path) -> Desk:
    """Return a folder of the test's own."""
    desk = Desk(tmp_path, _alice, _bob)
    desk.image.write_bytes(uki())
    _alice.write(tmp_path, "alice")
    _bob.write(tmp_path, "bob")
    return desk
