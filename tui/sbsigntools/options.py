"""Options as sbsigntools reads them: getopt_long(3), in any order, exit status 1 for every fault.

An option that is not known is an error before anything is read: nothing is signed. Only
sbsigntools' own options may be cut short, so that one of ours never takes a short form away.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from getopt import GetoptError, gnu_getopt
from typing import NoReturn

from ceremony.show import escaped
from ceremony.types import Finding, Severity

FAILED = 1
MOST_DIGITS = 6
ENGINE = "pkcs11"
# What sbsigntools says, which scripts look for.
ALREADY_SIGNED = "Image was already signed; adding additional signature"
UNSIGNED = "Signing Unsigned original image"
NO_TABLE = "No signature table present"
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z")


@dataclass(frozen=True, slots=True)
class Grammar:
    """A command's options as getopt_long takes them, `own` those that sbsigntools has not."""

    short: str
    long: tuple[str, ...]
    own: tuple[str, ...]


class Options(argparse.ArgumentParser):
    """A parser whose every error ends with status 1, as `sbsign` and its kin do."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and what would be right."""
        self.print_usage(sys.stderr)
        self.exit(FAILED, f"{self.prog}: {escaped(message, 1000)}\n")

    def settle(self, words: Sequence[str], grammar: Grammar) -> list[str]:
        """Return the words with each option in full, its value joined to it, the image last."""
        named = {word.partition("=")[0] for word in words}
        own = (name for name in grammar.own if f"--{name.rstrip('=')}" in named)
        long = [*grammar.long, *own]
        try:
            pairs, rest = gnu_getopt(words, grammar.short, long)
        except GetoptError as error:
            self.error(error.msg)
        valued = {f"-{letter}" for letter in re.findall("(.):", grammar.short)}
        valued |= {f"--{name[:-1]}" for name in long if name.endswith("=")}
        full = (f"{name}={value}" if name in valued else name for name, value in pairs)
        return [*full, "--", *rest]


def moment(text: str) -> datetime:
    """Return a time given as YYYY-MM-DDTHH:MM:SSZ; for argparse, so it raises ValueError."""
    read = TIME.fullmatch(text)
    if read is None:
        raise ValueError
    return datetime(*(int(digits) for digits in read.groups()), tzinfo=UTC)  # type: ignore[arg-type, misc] # six groups of digits


def descriptor(text: str) -> int:
    """Return a descriptor's number; what is no such number may be a PIN and is not repeated."""
    if not text.isdecimal() or not text.isascii() or len(text) > MOST_DIGITS:
        raise argparse.ArgumentTypeError("give the number of an open descriptor")
    return int(text)


def no_pin(_text: str) -> NoReturn:
    """Refuse a PIN as an argument, where every process of the machine could read it."""
    raise argparse.ArgumentTypeError("a PIN is never an argument; give --pin-fd a descriptor")


moment.__name__ = "time (YYYY-MM-DDTHH:MM:SSZ)"  # as argparse names it


def now() -> datetime:
    """Return the clock's reading in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def tell(findings: tuple[Finding, ...]) -> None:
    """Write findings on standard error."""
    if findings:
        from tui.commands.findings import put_findings  # noqa: PLC0415 - seldom needed, slow

        put_findings(findings, to_stderr=True)


def tell_known(findings: tuple[Finding, ...], verbose: int) -> None:
    """Write warnings, and with --verbose the plain facts, too."""
    least = (Severity.WARN, Severity.INFO) if verbose else (Severity.WARN,)
    tell(tuple(f for f in findings if f.severity in least))
