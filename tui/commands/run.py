"""run: hold a production ceremony, or resume the one its logs hold."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ceremony.errors import refuse
from ceremony.show import escaped
from ceremony.types import Mode
from tui.before import given_head
from tui.commands import Exit, holding
from tui.commands.holding import chosen, held
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
        "--machine", metavar="FILE", type=Path, help="the machine binding: module and pinned policy"
    )
    parser.add_argument(
        "--approvals",
        metavar="DIR",
        type=Path,
        help="where the plan goes that key holders sign (else: OUT-approvals beside --out)",
    )
    parser.add_argument(
        "--previous",
        metavar="HEAD",
        help="the ceremony before: checkpoint.txt, or its root in hex; a ledger names it itself",
    )
    parser.add_argument("--plain", action="store_true", help="plain prompts, no full screen")
    holding.arguments(parser)


def run(options: argparse.Namespace) -> Exit:
    """Hold the ceremony."""
    logs = tuple(folder.absolute() for folder in options.logs)
    if len({os.path.realpath(folder) for folder in logs}) != len(logs) or not logs[1:]:
        raise refuse("TRN-LOG", "a production ceremony needs two different log folders (--log)")
    out = options.out.absolute()
    for folder in (*logs, out):
        if not folder.parent.is_dir():
            text = f"{escaped(str(folder.parent))} is not there, and {escaped(folder.name)} is to"
            raise refuse("MED-MOUNT", f"{text} be in it")
    approvals = options.approvals or out.with_name(f"{out.name}-approvals")
    places = Places(
        mode=Mode.PRODUCTION,
        policy=options.policy.absolute(),
        incoming=options.incoming.absolute(),
        logs=logs,
        out=out,
        machine=options.machine.absolute() if options.machine else None,
        approvals=approvals.absolute(),
        previous=given_head(options.previous) if options.previous else None,
    )
    return held(places, chosen(options))
