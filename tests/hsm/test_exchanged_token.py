"""A token that is exchanged between the look and the PIN hears nothing of the PIN."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from marks import refuses

from ceremony.errors import TokenTrouble
from hsm.child import Child

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench


def slot_of(bench: Bench, label: str) -> object:
    """Return the number of the slot with the token of this label."""
    child = Child("signing", bench.binding)
    child.ask("load", 10, module=str(bench.binding.module), policy_sha256="")
    told = child.ask("tokens", 10)["tokens"]
    child.close()
    assert isinstance(told, list)
    return next(one["slot_id"] for one in told if one.get("token_label") == label)


@refuses("KEY-TOKEN")
def test_a_pin_is_not_sent_to_a_token_that_was_put_in_after_the_look(
    bench: Bench, shim: Path, tmp_path: Path
) -> None:
    bench.second_token("another")
    swapped, logins = tmp_path / "swapped", tmp_path / "logins"
    token = bench.shimmed(shim, SWAPPED=str(swapped), LOGINS=str(logins)).token()
    assert token.probe(bench.certificate).token_label == "rehearsal"
    swapped.write_text(str(slot_of(bench, "another")))
    pin = bench.typed()
    with pytest.raises(TokenTrouble) as trouble:
        token.login(pin)
    assert not logins.exists(), "another token heard the PIN"
    assert trouble.value.rule == "KEY-TOKEN"
    assert "no try was spent" in trouble.value.text
    assert "unknown" not in trouble.value.text
    assert not any(pin)
    assert token._child is None
    swapped.unlink()
    assert token.login(bench.typed()).outcome == "ok"
    token.close()
