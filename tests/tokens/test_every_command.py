"""The card is pulled before it answers its n-th command: at every n in `make tokens`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from marks import refuses
from tokens.brought import PIN, Brought
from tokens.piv_card import VERIFY, PivCard

from ceremony.errors import TokenTrouble
from ceremony.rules.pin_tries import pin_try

if TYPE_CHECKING:
    from tests.tokens.conftest import Table

SAMPLES = 4  # of all the commands, in the ordinary run
TROUBLES = {"KEY-TOKEN", "KEY-REFUSED", "KEY-POSSESSION", "KEY-CHILD"}


@pytest.mark.parametrize("name", ["opensc", "ykcs11"])
@refuses("KEY-TOKEN", "KEY-REFUSED", "KEY-POSSESSION", "KEY-LOST")
def test_wherever_the_card_goes_it_comes_back_and_signs(
    table: Table, tmp_path: Path, name: str
) -> None:
    with ExitStack() as stack:
        brought = table.bring(name, tmp_path, stack)
    card = brought.card
    assert card is not None
    assert _signed(brought) == "signed"
    count = len(card.commands)
    every = bool(os.environ.get("UKI_CEREMONY_TOKENS"))
    for n in range(count) if every else range(1, count, count // SAMPLES):
        card.renew()
        card.leave_after(n)
        said = _signed(brought)
        assert said in (*TROUBLES, "unknown KEY-LOST", "failed KEY-REFUSED"), n
        assert pin_try(said.split()[-1]), n
        _only_right_pins(card)
    card.renew()
    assert _signed(brought) == "signed"


def _signed(brought: Brought) -> str:
    token = brought.token()
    try:
        token.probe(brought.certificates["rsa"])
        if (login := token.login(brought.typed(), use=brought.again())).outcome != "ok":
            return login.outcome
        result = token.sign(brought.request(), brought.again())
    except TokenTrouble as trouble:
        return trouble.rule
    finally:
        token.close()
    return f"{result.outcome} {result.rule}".strip()


def _only_right_pins(card: PivCard) -> None:
    sent = [one.data for one in card.commands if one.ins == VERIFY and one.data]
    assert all(data.startswith(PIN.encode()) for data in sent)
    assert card.tries == card.tries_most
