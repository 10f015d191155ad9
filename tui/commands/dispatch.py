"""From the command line to one subcommand, and from every error to an exit status."""

from __future__ import annotations

import argparse
import sys

from ceremony.errors import CeremonyError, Refused, Trouble
from ceremony.types import Finding, Severity
from tui import identity
from tui.commands import Exit, attest, check, inspect, rehearse, replay, run
from tui.commands.report import put, put_findings, put_json, refusal_json

COMMANDS = (rehearse, run, attest, check, inspect, replay)

WITHOUT = (
    "Without a subcommand, on a terminal, a rehearsal in ./uki-rehearsal is begun or resumed.",
    "Exit status: 0 yes, 1 refused, 2 usage, 3 could not be done, 4 incomplete or aborted.",
)


def dispatch(arguments: list[str]) -> int:
    """Run the subcommand that `arguments` name; return the exit status."""
    parser = _parser()
    options = argparse.Namespace()
    try:
        options = parser.parse_args(arguments or ["rehearse", "uki-rehearsal"])
        identity.require_one_home()
        return int(options.run(options))
    except SystemExit as error:  # argparse: 0 after --help, 2 after wrong usage
        return int(error.code or 0)
    except Refused as error:
        put_findings(error.findings, to_stderr=True)
        if getattr(options, "json", False):
            put_json(refusal_json(error.findings))
        return Exit.REFUSED
    except Trouble as trouble:
        finding = Finding(trouble.rule, Severity.REFUSE, trouble.text)
        put_findings((finding,), to_stderr=True)
        return Exit.TROUBLE
    except CeremonyError as error:  # a terminal that cannot show the full screen
        put(str(error))
        return Exit.TROUBLE
    except BrokenPipeError:
        sys.stderr.close()
        return Exit.TROUBLE
    except OSError as error:
        text = f"{error.filename or 'a file'}: {error.strerror or error}"
        put_findings((Finding("MED-GONE", Severity.REFUSE, text),), to_stderr=True)
        return Exit.TROUBLE
    except KeyboardInterrupt:
        put("", "stopped")
        return Exit.INCOMPLETE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="uki-ceremony",
        description="An air-gapped signing ceremony for Unified Kernel Images.",
        epilog=" ".join(WITHOUT),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=identity.tool_version())
    commands = parser.add_subparsers(metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(command.NAME, help=command.HELP, allow_abbrev=False)
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    return parser
