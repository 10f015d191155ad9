"""Holding a ceremony on a chosen face, and turning its end into words and an exit status."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ceremony.errors import MediaTrouble, Refused, TokenTrouble
from ceremony.events import Outcome
from ceremony.types import Finding, Severity
from tui.commands import Exit
from tui.commands.findings import put, put_findings
from tui.faces import Face
from tui.plain import PlainFace
from tui.wiring import Ended, Places, hold

NAME = "uki-ceremony"
STOPPED = "INCOMPLETE: nothing that was recorded is lost."

LOCK_MINUTES = 10
MOST_LOCK_MINUTES = 120

Run = Callable[[Callable[[Face], Ended]], Ended]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every ceremony held by people may be given."""
    parser.add_argument(
        "--lock-after",
        metavar="MINUTES",
        type=_minutes,
        default=LOCK_MINUTES,
        help="lock the full screen after so long without a key (default: 10, at most 120)",
    )


def _minutes(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,2}", text) or int(text) > MOST_LOCK_MINUTES:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_LOCK_MINUTES} is wanted")
    return int(text)


def chosen(options: argparse.Namespace) -> Run:
    """Return the face that the options ask for."""
    if options.plain:
        return plain
    return partial(full_screen, lock_after=60.0 * options.lock_after)


def plain(work: Callable[[Face], Ended]) -> Ended:
    """Run a ceremony as prompts."""
    return work(PlainFace())


def full_screen(work: Callable[[Face], Ended], *, lock_after: float) -> Ended:
    """Run a ceremony in the full screen."""
    from tui.screen_face import run_full_screen  # noqa: PLC0415 - Textual only where it is used

    return run_full_screen(work, lock_after=lock_after)


def held(places: Places, run: Run) -> Exit:
    """Hold the ceremony; say how it ended; return the exit status."""
    try:
        ended = run(lambda face: hold(places, face))
    except (MediaTrouble, TokenTrouble) as trouble:
        put_findings(_as_findings(trouble), to_stderr=True)
        put(STOPPED, again())
        return Exit.TROUBLE
    except Refused as error:
        put_findings(error.findings, to_stderr=True)
        return Exit.REFUSED
    except (KeyboardInterrupt, EOFError):
        put("", STOPPED, again())
        return Exit.INCOMPLETE
    return _said(ended, places)


def _said(ended: Ended, places: Places) -> Exit:
    for file in ended.closed.files:
        put(f"  {file.sha256}  {places.out / file.name}")
    # What matters most comes last: on a console of 25 rows the files scroll it away.
    put_findings(ended.closed.why)
    put(
        f"{places.mode.upper()}: {ended.closed.outcome}",
        f"  {len(ended.witnesses)} of {ended.needed} countersignatures",
        f"  {places.out}",
    )
    match ended.closed.outcome:
        case Outcome.OK if ended.released:
            return Exit.YES
        case Outcome.OK:
            put("signed, unwitnessed: not releasable before enough people countersigned", again())
            return Exit.INCOMPLETE
        case Outcome.ABORTED:
            return Exit.INCOMPLETE
        case Outcome.REFUSED | Outcome.DISPUTED | Outcome.OVERRIDE_NEEDED:
            return Exit.REFUSED


def again() -> str:
    """Return the line that says which command goes on, as it can be typed here."""
    return "Resume with: " + shlex.join([*_program(), *sys.argv[1:]])


def _program() -> tuple[str, ...]:
    """Return how this program is started: by its name only where the shell finds this very one."""
    script = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    if found and Path(found).absolute() == script.absolute():
        return (NAME,)
    return (str(script),) if script.is_file() else (sys.executable, "-I", "-m", "tui")


def _as_findings(trouble: MediaTrouble | TokenTrouble) -> tuple[Finding, ...]:
    return (Finding(trouble.rule, Severity.REFUSE, trouble.text),)
