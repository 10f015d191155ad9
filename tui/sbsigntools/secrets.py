"""Where a PIN or a passphrase comes from: a descriptor that was named, or the terminal.

Never from an argument, the environment or a URI, where other processes could read it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ceremony.errors import refuse
from tui.secret import MOST_WHOLE, keep_from_cores, read_line, read_secret

TERMINAL = "/dev/tty"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The one secret that a command may need; `descriptor` is --pin-fd's, if given."""

    descriptor: int | None

    def ask(self, prompt: str, most: int = MOST_WHOLE) -> bytearray:
        """Return the secret, to be overwritten by whoever takes it; Refused KEY-PIN-ENTRY."""
        keep_from_cores()
        if self.descriptor is not None:
            return self._from(self.descriptor)
        try:
            terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            raise refuse("KEY-PIN-ENTRY", "no terminal to ask on, and no --pin-fd") from None
        try:
            with open(terminal, "w", closefd=False) as writer:
                secret = read_secret(terminal, writer, prompt, most)
                writer.write("\n")
                return secret
        except EOFError:
            raise refuse("KEY-PIN-ENTRY", "the terminal was closed") from None
        finally:
            os.close(terminal)

    @staticmethod
    def _from(descriptor: int) -> bytearray:
        try:
            return read_line(descriptor, MOST_WHOLE)
        except (OSError, OverflowError, EOFError):
            raise refuse("KEY-PIN-ENTRY", "the descriptor that was named gives no line") from None
