"""Every real token that can be had without hardware, each made once and new for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tokens.brought import Brought
from tokens.cards import MODULES, carded
from tokens.opencryptoki_token import bring_opencryptoki, make_opencryptoki
from tokens.soft_tokens import bring_nss, bring_softhsm, make_nss, make_softhsm
from tokens.tpm_token import bring_tpm, make_tpm

MAKERS = {
    "softhsm": (make_softhsm, bring_softhsm),
    "tpm": (make_tpm, bring_tpm),
    "nss": (make_nss, bring_nss),
    "opencryptoki": (make_opencryptoki, bring_opencryptoki),
}
NAMES = (*MAKERS, *MODULES)


class Table:
    """Where tokens come from: each is made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._certificates: dict[str, dict[str, bytes]] = {}
        self._cards: dict[str, Brought] = {}
        self._open = ExitStack()

    def bring(self, name: str, folder: Path, stack: ExitStack) -> Brought:
        """Return a token as on its first day, with no PIN try spent and nothing in its log."""
        if name in MODULES:
            return self._card(name)
        make, bring = MAKERS[name]
        made = self._folder / name
        if name not in self._certificates:
            made.mkdir()
            self._certificates[name] = make(made)
        brought = stack.enter_context(bring(made, folder))
        brought.certificates = self._certificates[name]
        return brought

    def _card(self, name: str) -> Brought:
        if name not in self._cards:
            self._cards[name] = self._open.enter_context(carded(name))
        brought = self._cards[name]
        card = brought.card
        assert card is not None
        card.renew()
        return brought

    def close(self) -> None:
        """End what still runs."""
        self._open.close()


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    table = Table(tmp_path_factory.mktemp("tokens"))
    yield table
    table.close()


@pytest.fixture(params=NAMES)
def brought(request: pytest.FixtureRequest, table: Table, tmp_path: Path) -> Iterator[Brought]:
    with ExitStack() as stack:
        yield table.bring(request.param, tmp_path / "token", stack)
