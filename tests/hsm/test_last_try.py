"""Outside of a ceremony: the tries are said before each prompt, the last needs another person."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rehearsing
from marks import accepts, refuses
from pin.console import Console

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

COUNT_LOW, FINAL, LOCKED = "10000", "30000", "70000"  # CKF_USER_PIN_..., as they add up
COMMANDS = ("sbsign", "token-init", "pin-split")


class Desk:
    """A token whose module says what flags it is told to, and notes every login."""

    def __init__(self, bench: Bench, shim: Path, folder: Path, flags: str) -> None:
        self.logins = folder / "logins"
        shimmed = bench.shimmed(shim, FLAGS=flags, LOGINS=str(self.logins))
        module = json.dumps(str(shimmed.binding.module))
        lines = "".join(f"{n} = {json.dumps(v)}\n" for n, v in shimmed.binding.environment)
        self.machine = folder / "machine.toml"
        self.machine.write_text(f"module = {module}\n[environment]\n{lines}")
        (folder / "signer.pem").write_bytes(bench.certificate)
        (folder / "image.efi").write_bytes(rehearsing.tiny_uki())
        self.folder = folder
        self.uri = bench.uri

    def run(self, command: str) -> Console:
        machine = ("--machine", str(self.machine))
        token = self.uri.partition(";object")[0]
        words = {
            "sbsign": ("sbsign", "--key", self.uri, "--cert", "signer.pem", *machine, "image.efi"),
            "token-init": ("token", "init", token, *machine, "--output", "new.pem"),
            "pin-split": ("pin", "split", token, *machine, "--needed", "2", "--shares", "2"),
        }[command]
        return Console("-I", "-m", "tui", *words, folder=self.folder)


@pytest.fixture
def desk(bench: Bench, shim: Path, tmp_path: Path) -> Callable[[str], Desk]:
    return lambda flags: Desk(bench, shim, tmp_path, flags)


@refuses("KEY-PIN-FINAL")
@pytest.mark.parametrize("command", COMMANDS)
def test_the_last_try_is_not_used_without_another_persons_word(
    desk: Callable[[str], Desk], command: str
) -> None:
    at = desk(FINAL)
    with at.run(command) as console:
        console.wait("Somebody else types LAST TRY:")
        console.type(b"why\n", 0)
        assert console.end() == 1
        assert "KEY-PIN-FINAL" in console.text()
    assert not at.logins.exists() or not at.logins.read_text()


@accepts("KEY-PIN-FINAL")
@pytest.mark.parametrize("command", COMMANDS)
def test_with_another_persons_word_the_pin_is_asked_for(
    desk: Callable[[str], Desk], command: str
) -> None:
    with desk(FINAL).run(command) as console:
        console.wait("Somebody else types LAST TRY:")
        console.type(b"LAST TRY\n", 0)
        console.wait("(ONE try is left; not shown):")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_pin_before_is_said_in_the_prompt(
    desk: Callable[[str], Desk], command: str
) -> None:
    with desk(COUNT_LOW).run(command) as console:
        console.wait("(a wrong PIN was typed since the last right one; not shown):")


@refuses("KEY-PIN-LOCKED")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_locked_pin_is_not_asked_for(desk: Callable[[str], Desk], command: str) -> None:
    with desk(LOCKED).run(command) as console:
        assert console.end() == 1
        assert "KEY-PIN-LOCKED" in console.text()
        assert "not shown" not in console.text()
