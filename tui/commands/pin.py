"""pin split: a new PIN for a token, dealt as SLIP-39 shares; the way to rotate one, too.

The new PIN is drawn, dealt and set in the token's process. A share is shown on the terminal
(or written to a printer) for its holder alone, typed back by the holder, and kept nowhere.
Until the last share was typed back the old PIN holds.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from pathlib import Path

from ceremony.errors import refuse
from ceremony.pin_parts import LEAST_SHARES, MOST_SHARES, TRIES_SAID, PinEntry, PinPart, first_part
from ceremony.show import escaped
from hsm import uri as uris
from hsm.dealing import Deal, Dealing
from tui.commands import Exit
from tui.commands.findings import put
from tui.commands.token import binding_of, token_named
from tui.pin_prompt import allow, ask_pin
from tui.sbsigntools.secrets import TERMINAL, Secrets

LEAST_LENGTH, MOST_LENGTH = 4, 31
DEFAULT_LENGTH = 16
PAPER = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW
MOST_TRIES = 5  # of typing a share back


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("act", choices=("split",), help="deal a new PIN as shares")
    parser.add_argument("uri", metavar="URI", help="the token whose PIN is changed")
    parser.add_argument("--machine", type=Path, help="the machine binding; else SoftHSM is sought")
    parser.add_argument("--needed", type=int, required=True, help="how many shares make the PIN")
    parser.add_argument("--shares", type=int, required=True, help="how many shares there are")
    parser.add_argument("--length", type=int, default=DEFAULT_LENGTH, help="of the new PIN")
    parser.add_argument("--digits", action="store_true", help="a PIN of digits alone")
    old = parser.add_mutually_exclusive_group()
    old.add_argument("--pin-fd", type=int, help="a descriptor to read the PIN so far from")
    old.add_argument("--old-shares", type=int, default=0, help="the PIN so far is in so many")
    parser.add_argument(
        "--paper", type=Path, default=Path(TERMINAL), help="a printer's device; else this terminal"
    )


def run(options: argparse.Namespace) -> Exit:
    """Deal, let every holder write down and type back, set the PIN."""
    deal = _deal(options)
    binding = binding_of(options.machine)
    uri = uris.parse(options.uri).token
    token = token_named(binding, options.uri)
    # The shares are typed back on the terminal, wherever the PIN so far comes from.
    old, terminal = Secrets(options.pin_fd), Secrets(None)
    paper = _paper(options.paper)
    dealing = Dealing(binding, uri, paper)
    try:
        pin, entry = bytearray(), PinEntry.SHARES
        if options.old_shares:
            allow(terminal, token.pin_state)
            put(f"PIN of token {token.label}: {TRIES_SAID[token.pin_state]}.")
            _offer_old(dealing, terminal, first_part(entry, options.old_shares))
        else:
            entry, pin = PinEntry.WHOLE, ask_pin(old, token.label, token.pin_state)
        label = dealing.deal(pin, entry, deal)
        for number in range(1, deal.count + 1):
            _hand_out(dealing, terminal, label, number, deal)
        dealing.set()
    finally:
        dealing.close()
        os.close(paper)
    put(
        f"The PIN of token {label} is new: {deal.threshold} of {deal.count} shares make it.",
        "Destroy the sheets of the PIN before. In the policy:",
        f'[signer]  pin = "shares"  pin_shares = {deal.threshold}',
    )
    return Exit.YES


def _deal(options: argparse.Namespace) -> Deal:
    if not LEAST_SHARES <= options.needed <= options.shares <= MOST_SHARES:
        text = f"--needed is 2 to --shares, and --shares is at most {MOST_SHARES}"
        raise refuse("KEY-PIN-PART", text)
    if not LEAST_LENGTH <= options.length <= MOST_LENGTH:
        text = f"--length is {LEAST_LENGTH} to {MOST_LENGTH}"
        raise refuse("KEY-PIN-PART", text)
    if options.old_shares and not LEAST_SHARES <= options.old_shares <= MOST_SHARES:
        raise refuse("KEY-PIN-PART", f"--old-shares is {LEAST_SHARES} to {MOST_SHARES}")
    return Deal(options.needed, options.shares, options.length, options.digits)


def _paper(path: Path) -> int:
    """Open what shares are written to: a terminal or a printer, never a file that keeps them."""
    try:  # not waited for: a pipe that nobody reads would keep everybody in the room
        paper = os.open(path, PAPER)
        os.set_blocking(paper, True)
    except OSError as error:
        text = f"{escaped(str(path))}: {error.strerror}"
        raise refuse("KEY-PIN-ENTRY", text) from None
    mode = os.fstat(paper).st_mode
    if not stat.S_ISCHR(mode) and not stat.S_ISFIFO(mode):
        os.close(paper)
        text = f"{escaped(str(path))} would keep the shares; name a printer's device"
        raise refuse("KEY-PIN-ENTRY", text)
    return paper


def _offer_old(dealing: Dealing, terminal: Secrets, part: PinPart) -> None:
    for number in range(1, part.of + 1):
        asked = PinPart(part.entry, number, part.of)
        while why := dealing.offer(terminal.ask(f"Old {asked.said} (not shown): "), asked):
            put(f"KEY-PIN-PART: {why}")


def _hand_out(dealing: Dealing, terminal: Secrets, label: str, number: int, deal: Deal) -> None:
    """Show one share to its holder, and have it typed back from the holder's paper."""
    put(f"Share {number} of {deal.count}: let its holder come, and nobody else look.")
    terminal.ask("Enter shows it.")
    head = f"Share {number} of {deal.count} of the PIN of token {label}; {deal.threshold} make it"
    for _ in range(MOST_TRIES):
        dealing.show(number, head)
        terminal.ask("Write it down. Enter hides it.")
        dealing.hide()
        typed = terminal.ask("Type the words back from the paper (four letters each will do): ")
        if dealing.confirm(number, typed):
            return
        put("KEY-PIN-PART: these are other words than the share's")
        sys.stdout.flush()
    text = f"share {number} was not typed back; the old PIN holds, destroy the new sheets"
    raise refuse("KEY-PIN-PART", text)
