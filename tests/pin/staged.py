"""Rehearsals that stopped before the PIN, on tokens whose PIN is a canary."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import rehearsing
from pin.console import F9, Console

from ceremony.effects import Login
from ceremony.ports import Interruption
from hsm.binding import read_binding
from tui import wiring
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace

HERE = Path(__file__).parent
CANARY = "heron-4082-Quill"
TRIES = 20  # keys are live a second after all was shown; on a busy machine that is later
CLEAR = b"\x15"


def set_pin(prepared: Prepared, new: str = CANARY) -> None:
    """Give the rehearsal's token another PIN than the sheet has."""
    binding = read_binding(prepared.machine.read_bytes())
    wanted = {"module": str(binding.module), "old": prepared.pin, "new": new}
    subprocess.run(
        [sys.executable, "-I", str(HERE / "set_pin.py")],
        input=json.dumps(wanted),
        text=True,
        env=dict(binding.environment),
        check=True,
    )


class _Stops(ScriptFace):
    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        raise EOFError


def stopped_before_the_pin(prepared: Prepared, signer: str = "") -> Prepared:
    """Hold a rehearsal up to the PIN, under a policy with `signer` in its table [signer]."""
    set_pin(prepared)
    if signer:
        rehearsing.edit_policy(prepared, ("[signer]\n", f"[signer]\n{signer}\n"))
    with suppress(EOFError):
        wiring.hold(rehearsing.places_of(prepared), _Stops(prepared.sheet, io.StringIO()))
    return prepared


def resumed(prepared: Prepared, *words: str, size: tuple[int, int] = (50, 140)) -> Console:
    """Begin the same rehearsal on a console of its own."""
    arguments = ("-I", "-m", "tui", "rehearse", str(prepared.folder), *words)
    return Console(*arguments, folder=prepared.folder.parent, size=size)


def confirm_on_screen(console: Console) -> None:
    """Answer what a resumed ceremony asks before the PIN, with F9 behind each answer."""
    for asked, answer in (("Type RESUME", b"RESUME"), ("keeps this time", b"agree")):
        console.wait(asked)
        type_seen(console, answer)
        console.press(F9)


def type_seen(console: Console, text: bytes) -> None:
    """Type into a field that shows it, again where the keys were not live yet."""
    for _ in range(TRIES):
        console.type(CLEAR + text, 0.02)
        for _ in range(5):
            console.listen(0.1)
        if text.decode() in console.text().rpartition("║")[0].rpartition("║")[2]:
            return
        if f"{text.decode()}____" in console.text():
            return
    raise AssertionError(console.text()[-2000:])


def type_pin(console: Console, pin: bytes) -> bytes:
    """Type a PIN until the face has it whole; return what the screen showed of the last try.

    Keys that came before they were live are dropped, so an earlier try is not whole.
    """
    for _ in range(TRIES):
        console.type_apart(CLEAR, 0.5)
        seen = len(console.screen)
        console.type_apart(pin, 0.05)
        if console.until_taken(pin) == 1:
            return console.screen[seen:]
    raise AssertionError(console.text()[-2000:])


def confirm_plainly(console: Console) -> None:
    """Answer what a resumed ceremony asks before the PIN, a line each."""
    for asked, answer in (("Type RESUME", b"RESUME\n"), ("keeps this time", b"agree\n")):
        console.wait(asked)
        console.type(answer, 0)


def until_signed(console: Console, prepared: Prepared) -> None:
    """Wait until the signature's result is in the log."""
    end = time.monotonic() + 60
    while b'"sign.result"' not in (prepared.logs[0] / "transcript.jsonl").read_bytes():
        assert time.monotonic() < end, console.text()[-2000:]
        console.listen(0.2)
    for _ in range(5):
        console.listen(0.1)


def files_with(folder: Path, needle: bytes) -> list[Path]:
    """Return the files below a folder that hold a needle."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in found if needle in path.read_bytes()]
