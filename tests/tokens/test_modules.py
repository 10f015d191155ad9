"""What single modules want, each by the defect that it showed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from marks import accepts, refuses

from ceremony.errors import TokenTrouble
from hsm.present import show_tokens

if TYPE_CHECKING:
    from tests.tokens.conftest import Table


@refuses("KEY-MODULE")
def test_nss_without_its_text_says_that_it_does_not_start(table: Table, tmp_path: Path) -> None:
    with ExitStack() as stack:
        binding = table.bring("nss", tmp_path / "token", stack).binding
        with pytest.raises(TokenTrouble, match="KEY-MODULE: does not start: ArgumentsBad"):
            show_tokens(replace(binding, init_args=""))


@refuses("KEY-MODULE")
def test_a_module_that_wants_no_text_refuses_one(table: Table, tmp_path: Path) -> None:
    with ExitStack() as stack:
        binding = table.bring("softhsm", tmp_path / "token", stack).binding
        with pytest.raises(TokenTrouble, match="KEY-MODULE: does not start: ArgumentsBad"):
            show_tokens(replace(binding, init_args="configdir='sql:/tmp'"))


@accepts("KEY-MODULE")
def test_nss_with_its_text_shows_its_own_slots(table: Table, tmp_path: Path) -> None:
    with ExitStack() as stack:
        binding = table.bring("nss", tmp_path / "token", stack).binding
        labels = [token.label for token in show_tokens(binding).tokens]
    assert labels == ["NSS Generic Crypto Services", "NSS Certificate DB"]


def test_the_cards_attestation_is_read_without_a_pin(table: Table, tmp_path: Path) -> None:
    with ExitStack() as stack:
        brought = table.bring("ykcs11", tmp_path / "token", stack)
        (token,) = [one for one in show_tokens(brought.binding).tokens if one.objects]
    labels = {one.label for one in token.objects if one.certificate}
    assert "X.509 Certificate for PIV Attestation 9c" in labels
    assert brought.card is not None
    assert brought.card.verifies == 0
