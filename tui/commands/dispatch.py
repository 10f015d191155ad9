"""From the command line to one subcommand, and from every error to an exit status.

Only the module of the subcommand that is asked for is loaded: what a build calls a thousand
times must not wait for a screen it never draws.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from types import ModuleType

from ceremony.errors import CeremonyError, Refused, Trouble
from ceremony.types import Finding, Severity
from tui import identity
from tui.commands import Exit
from tui.sbsigntools.options import FAILED, Options

COMMANDS = {
    "rehearse": "hold a rehearsal with practice keys in DIR",
    "run": "hold a production ceremony (people answer)",
    "approve": "sign a ceremony's plan with your key, as a key holder",
    "attest": "attest an image that this machine built",
    "check": "judge attestations of an image by a policy",
    "token": "show what a token tells without a PIN, and what would be refused",
    "token init": "make a key inside a token, and a certificate or a request for one",
    "pin": "pin split: deal a new PIN of a token as SLIP-39 shares",
    "policy": "lint, show, sign or begin a policy",
    "inspect": "parse a UKI strictly and show what it means",
    "tbs": "write the bytes to be signed elsewhere for an image, a certificate and a time",
    "assemble": "put image, certificate and a signature made elsewhere together",
    "ledger": "append a finished ceremony to the ledger, from its bundle",
    "replay": "replay a bundle and say whether it is reproduced",
    "countersign": "add a person's signature to a bundle that was sealed before",
    "proof": "check that a line or an earlier head is under a checkpoint",
    "export": "sign what other tools read of a bundle, and check what a public log answers",
    "report": "write what a bundle says as HTML or text, to print and file",
}
DROP_IN = {
    "sbsign": "sign an EFI image, drop-in for sbsigntools' sbsign",
    "sbverify": "verify an EFI image's signatures, drop-in for sbsigntools' sbverify",
    "sbattach": "attach, detach or remove a signature, drop-in for sbsigntools' sbattach",
}
NOT_WRITTEN = ("MED-WRITE", "standard output")
WITHOUT = (
    "Without a subcommand, on a terminal, a rehearsal in ./uki-rehearsal is begun or resumed.",
    "Exit status: 0 yes, 1 refused, 2 usage, 3 could not be done, 4 incomplete or aborted;",
    "of sbsign, sbverify and sbattach: 0 or 1.",
)


def dispatch(arguments: list[str]) -> int:
    """Run the subcommand that `arguments` name; return the exit status."""
    status = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        # At exit Python would try once more, say so in its own words and exit with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = _status_of(error, None)
        return FAILED if not DROP_IN.keys().isdisjoint(arguments[:1]) else status
    return status


def _run(arguments: list[str]) -> int:
    words = arguments or ["rehearse", "uki-rehearsal"]
    if words[:2] == ["token", "init"]:
        words = ["token init", *words[2:]]
    drop_in = words[0] in DROP_IN
    options = argparse.Namespace()
    try:
        command = _command(words[0])
        parser = _parser(words[0], command)
        if command is not None and isinstance(parser, Options):
            words = parser.settle(words[1:], command.GRAMMAR)
        options = parser.parse_args(words)
        identity.require_one_home()
        return int(command.run(options)) if command else Exit.USAGE
    except SystemExit as error:  # argparse: 0 after --help, 2 (drop-in: 1) after wrong usage
        return int(error.code or 0)
    except (CeremonyError, OSError, KeyboardInterrupt) as error:
        status = _status_of(error, options)
        return FAILED if drop_in else status


def _status_of(error: CeremonyError | OSError | KeyboardInterrupt, options: object) -> Exit:
    """Say what went wrong and return its exit status."""
    from tui.commands.findings import (  # noqa: PLC0415 - most runs report nothing
        put,
        put_findings,
        put_json,
        refusal_json,
    )

    match error:
        case Refused():
            put_findings(error.findings, to_stderr=True)
            if getattr(options, "json", False):
                put_json(refusal_json(error.findings))
            return Exit.REFUSED
        case Trouble():
            finding = Finding(error.rule, Severity.REFUSE, error.text)
            put_findings((finding,), to_stderr=True)
            return Exit.TROUBLE
        case CeremonyError():  # a terminal that cannot show the full screen
            put(str(error))
            return Exit.TROUBLE
        case BrokenPipeError():  # whoever read it has read enough
            return Exit.TROUBLE
        case OSError():
            rule, named = ("MED-PATH", error.filename) if error.filename else NOT_WRITTEN
            text = f"{named}: {error.strerror or error}"
            put_findings((Finding(rule, Severity.REFUSE, text),), to_stderr=True)
            return Exit.TROUBLE
        case KeyboardInterrupt():
            put("", "stopped")
            return Exit.INCOMPLETE


def _command(name: str) -> ModuleType | None:
    if name in DROP_IN:
        return import_module(f"tui.sbsigntools.{name}")
    return import_module(f"tui.commands.{name.replace(' ', '_')}") if name in COMMANDS else None


def _parser(name: str, command: ModuleType | None) -> argparse.ArgumentParser:
    if command is not None and name in DROP_IN:
        drop_in = Options(prog=f"uki-{name}", description=DROP_IN[name])
        drop_in.add_argument("-V", "--version", action=_Version, nargs=0, help="show the version")
        command.arguments(drop_in)
        return drop_in
    parser = argparse.ArgumentParser(
        prog="uki-ceremony",
        description="An air-gapped signing ceremony for Unified Kernel Images.",
        epilog=" ".join(WITHOUT),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for each, says in (COMMANDS | DROP_IN).items():
        sub = commands.add_parser(each, help=says, allow_abbrev=False)
        if command is not None and each == name:
            command.arguments(sub)
    return parser


class _Version(argparse.Action):
    """--version, looked up only when it is asked for."""

    def __call__(
        self, parser: argparse.ArgumentParser, *_: object, **__: object
    ) -> None:  # pragma: no cover - argparse's signature
        """Write name and version, and end."""
        sys.stdout.write(f"{parser.prog} {identity.tool_version().split(' ', 1)[1]}\n")
        parser.exit()
