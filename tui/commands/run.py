"""run: hold a production ceremony, or resume the one its logs hold."""

from __future__ import annotations

import argparse
from pathlib import Path

from ceremony.errors import refuse
from ceremony.types import Mode
from tui.commands import Exit
from tui.commands.holding import full_screen, held, plain
from tui.wiring import Places


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--policy", type=Path, required=True, help="the signed policy, TOML")
    parser.add_argument(
        "--in", dest="incoming", metavar="DIR", type=Path, required=True, help="the medium read"
    )
    parser.add_argument(
        "--log",
        dest="logs",
        metavar="DIR",
        type=Path,
        action="append",
        required=True,
        help="a log medium; give two",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="for the bundle")
    parser.add_argument(
        "--machine", metavar="FILE", type=Path, help="the machine binding: PKCS#11 module"
    )
    parser.add_argument(
        "--approvals",
        metavar="DIR",
        type=Path,
        help="where the plan goes that key holders sign (else: OUT-approvals beside --out)",
    )
    parser.add_argument("--plain", action="store_true", help="plain prompts, no full screen")


def run(options: argparse.Namespace) -> Exit:
    """Hold the ceremony."""
    logs = tuple(folder.absolute() for folder in options.logs)
    if len({folder.resolve() for folder in logs}) != len(logs) or len(logs) < 2:  # noqa: PLR2004
        raise refuse("TRN-LOG", "a production ceremony needs two different log folders (--log)")
    out = options.out.absolute()
    approvals = options.approvals or out.with_name(f"{out.name}-approvals")
    places = Places(
        mode=Mode.PRODUCTION,
        policy=options.policy.absolute(),
        incoming=options.incoming.absolute(),
        logs=logs,
        out=out,
        machine=options.machine.absolute() if options.machine else None,
        approvals=approvals.absolute(),
    )
    return held(places, plain if options.plain else full_screen)
