"""A card reader that is not there: pcscd with vsmartcard's driver, for one virtual card.

The daemon has a socket in a folder of its own, which `PCSCLITE_CSOCK_NAME` names to clients;
the driver listens in a network of its own, where only the relay to the card is.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokens.daemons import answers, needed, needed_file, running, short_folder
from tokens.piv_card import PivCard

DRIVERS = (
    "/usr/lib/pcsc/drivers/serial/libifdvpcd.so",
    "/usr/lib64/pcsc/drivers/serial/libifdvpcd.so",
)
# Yubico's module looks at no other reader.
_PORT = 35963
YUBIKEY_READER = "Yubico YubiKey OTP+FIDO+CCID"


def _without_polkit(program: str) -> tuple[str, ...]:
    """Return the word that newer daemons want where no polkit can be asked."""
    word = "--disable-polkit"
    told = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    return (word,) if word in told.stdout + told.stderr else ()


@contextmanager
def reader(card: PivCard, name: str = YUBIKEY_READER) -> Iterator[dict[str, str]]:
    """Run a reader with the card in it; yield the environment in which clients find it."""
    driver = needed_file(DRIVERS, package="vsmartcard-vpcd")
    program = needed("pcscd", package="pcscd")
    with short_folder() as folder:
        (folder / "run").mkdir()
        readers = folder / "readers"
        readers.mkdir()
        (readers / "vpcd").write_text(
            f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:{_PORT}\n'
            f"LIBPATH {driver}\nCHANNELID {_PORT}\n"
        )
        relay = (sys.executable, "-I", str(Path(__file__).with_name("card_relay.py")))
        daemon = (program, *_without_polkit(program), "--foreground", "--config", str(readers))
        command = (*relay, str(card.path), str(_PORT), *daemon)
        socket = folder / "run" / "pcscd.comm"
        binds = ((folder / "run", "/run/pcscd"),)
        with running(command, folder, lambda: answers(socket), binds=binds):
            card.insert()
            yield {"PCSCLITE_CSOCK_NAME": str(socket)}
