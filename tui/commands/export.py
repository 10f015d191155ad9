"""export KIND BUNDLE: what other tools read of a sealed bundle; the bundle stays as it is.

Every kind replays the bundle first and says nothing of one that is not REPRODUCED.
"""

from __future__ import annotations

import argparse

from tui.commands import Exit
from tui.exporting import sigsum, summary


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the kinds and their options."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for name, says, declare in (
        ("vsa", "sign a SLSA verification summary of the signed image", summary.arguments),
        ("sigsum-request", "ask a sigsum log to log the checkpoint", sigsum.request_arguments),
        ("sigsum-verify", "check the log's answer, without a network", sigsum.verify_arguments),
    ):
        declare(kinds.add_parser(name, help=says, allow_abbrev=False))


def run(options: argparse.Namespace) -> Exit:
    """Do what the kind says; 1 where it is refused (TRN-EXPORT, TRN-SIGSUM, MED-OUTPUT)."""
    match str(options.kind):
        case "vsa":
            return summary.run(options)
        case "sigsum-request":
            return sigsum.request(options)
        case _:
            return sigsum.verify(options)
