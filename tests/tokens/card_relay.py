"""Run a reader's daemon and carry its talk with the card, inside namespaces of their own.

Arguments: the card's socket, the driver's port, the daemon's command. The driver listens on
every address of a network that only this process and the daemon are in; the card is outside
of it and reached through a file. A line to the driver is closed only when the driver closed
its end, so that a new one means that the removal was noticed.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from contextlib import suppress

_PAUSE = 0.01


def main(path: str, port: int, *command: str) -> None:
    with subprocess.Popen(command) as daemon:
        while daemon.poll() is None:
            with suppress(OSError):
                _one_visit(path, port)
            time.sleep(_PAUSE)
    sys.exit(daemon.returncode)


def _one_visit(path: str, port: int) -> None:
    with socket.socket(socket.AF_UNIX) as card:
        card.connect(path)
        if not card.recv(1):
            return  # no card in the reader
        with socket.create_connection(("127.0.0.1", port)) as driver:
            driver.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            _carry(card, driver)
            with suppress(OSError):
                driver.shutdown(socket.SHUT_WR)
            while driver.recv(4096):
                pass


def _carry(card: socket.socket, driver: socket.socket) -> None:
    while True:
        ready, _, _ = select.select((card, driver), (), ())
        for source, target in ((card, driver), (driver, card)):
            if source in ready:
                if not (data := source.recv(65536)):
                    return
                if source is driver:
                    # The driver sends length and message apart; an acknowledgement that is
                    # put off, as Linux does by itself, would cost 40 ms each time.
                    driver.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                target.sendall(data)


main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
