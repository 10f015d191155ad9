"""From a builder's options to the pins of the attestation.

Decides what is read (git, flake.lock, the environment, the machine's signs) and what is
stated, and refuses what contradicts itself (ATT-PIN, ATT-SOURCE, ATT-DIRTY). Refuses to know
how anything is signed.
"""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ceremony.attest.record import MOST_VALUE, TIMESTAMP
from ceremony.errors import refuse
from ceremony.pe.digest import file_sha256
from ceremony.policy_people import CONTAINERS
from ceremony.show import escaped
from tui.building import isolation
from tui.building.source import Source, named, read_source, repository_name
from tui.commands.files import copy_image

MARK = "mark"
LOCK = "flake.lock"
EPOCH = "SOURCE_DATE_EPOCH"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_HEX40, _HEX64 = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}"), re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,10}")
_DERIVATION = re.compile(r"/nix/store/[0-9a-df-np-sv-z]{32}-[A-Za-z0-9+._?=-]+\.drv")
_KNOWN = {
    "git_commit": (_HEX40, "40 or 64 lower-case hex digits"),
    "flake_lock": (_HEX64, "64 lower-case hex digits"),
    "source_date_epoch": (_NUMBER, "seconds since 1970"),
    "nix_derivation": (_DERIVATION, "/nix/store/HASH-NAME.drv"),
}


@dataclass(slots=True)
class Pins:
    """Pins as they are gathered, each with one value, their work tree, and notes on it."""

    values: dict[str, str] = field(default_factory=dict)
    source: Source | None = None
    repository: str = ""
    notes: set[str] = field(default_factory=set)

    def add(self, name: str, value: str) -> None:
        """ATT-PIN: take one pin of a possible value; a second value is refused."""
        known = _KNOWN.get(name)
        if known and not known[0].fullmatch(value):
            raise refuse("ATT-PIN", f"{name} is {known[1]}, not {escaped(value, 80)}")
        if not _NAME.fullmatch(name) or not _possible(value):
            text = f"a pin is a small name and one printable word, not {escaped(name)}="
            raise refuse("ATT-PIN", text + escaped(value, 80))
        if name == TIMESTAMP:
            raise refuse("ATT-PIN", "the time is put in when the attestation is made")
        before = self.values.setdefault(name, value)
        if before != value:
            text = f"{name} is both {escaped(before, 70)} and {escaped(value, 70)}"
            raise refuse("ATT-PIN", text)

    def all(self) -> tuple[tuple[str, str], ...]:
        """Return the pins, sorted by name."""
        return tuple(sorted(self.values.items()))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that give pins."""
    parser.add_argument(
        "--pin",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an input all builders must agree on: git_commit=HEX, flake_lock=HEX, ...",
    )
    parser.add_argument(
        "--flake-lock", metavar="FILE", type=Path, help="pin flake_lock to this file's SHA-256"
    )
    parser.add_argument(
        "--source",
        default="",
        metavar="DIR|NAME",
        help="the git work tree that was built (commit, cleanliness and flake.lock are read),"
        " or the repository of git_commit: github.com/org/repo",
    )
    parser.add_argument(
        "--dirty",
        choices=("refuse", MARK),
        default="refuse",
        help="a tree that is not its commit: refuse, or mark it and pin no commit",
    )
    parser.add_argument(
        "--source-date-epoch", metavar="SECONDS", help=f"pin it; else taken from {EPOCH}"
    )
    parser.add_argument("--image-id", metavar="WORD", help="pin image_id")
    parser.add_argument("--build-type", metavar="URI", help="pin build_type")
    parser.add_argument("--derivation", metavar="DRV", help="pin nix_derivation")
    parser.add_argument(
        "--isolation",
        metavar="KIND",
        help='state where it was built, as the policy enrols it, or "detected"',
    )


def gather(options: argparse.Namespace) -> Pins:
    """Return what the options, git and this machine say."""
    pins = Pins()
    for text in options.pin:
        name, equals, value = text.partition("=")
        if not equals:
            raise refuse("ATT-PIN", f"--pin takes NAME=VALUE, not {escaped(text)}")
        pins.add(name, value)
    _source(pins, options)
    if options.flake_lock:
        pins.add("flake_lock", file_sha256(copy_image(options.flake_lock)).hex)
    epoch = options.source_date_epoch or os.environ.get(EPOCH, "")
    stated = (
        ("source_date_epoch", epoch),
        ("image_id", options.image_id),
        ("build_type", options.build_type),
        ("nix_derivation", options.derivation),
    )
    for name, said in stated:
        if said:
            pins.add(name, said)
    seen = isolation.look()
    pins.add("isolation_seen", seen.word)
    if options.isolation:
        pins.add("isolation", isolation.stated(options.isolation, seen))
    if pins.values.get("isolation") in CONTAINERS and "base_image" not in pins.values:
        pins.notes.add(
            "such a vote is weak without --pin base_image=sha256:HEX, the image built in"
        )
    return pins


def _source(pins: Pins, options: argparse.Namespace) -> None:
    if not options.source:
        return
    folder = Path(options.source)
    if not folder.is_dir():
        pins.repository = repository_name(options.source)
        if not pins.repository:
            text = f"{escaped(options.source)} is neither a folder nor like github.com/org/repo"
            raise refuse("ATT-SOURCE", text)
        return
    source = read_source(folder)
    pins.source, pins.repository = source, source.repository
    if source.ignored:
        # The commit names them and does not hold them; a build may read them all the same.
        pins.add("git_ignored", str(len(source.ignored)))
        pins.notes.add(f"ignored by the commit, and here: {named(source.ignored)}")
    if not source.dirty:
        pins.add("git_commit", source.commit)
        pins.add("git_tree", "clean")
    elif options.dirty == MARK:
        # No git_commit: builders of the commit and of this tree did not build the same.
        pins.add("git_tree", f"{source.commit}-dirty")
    else:
        source.require_clean()
    lock = folder / LOCK
    if not options.flake_lock and lock.is_file():
        pins.add("flake_lock", file_sha256(copy_image(lock)).hex)


def _possible(value: str) -> bool:
    printable = value.isascii() and value.isprintable() and " " not in value
    return printable and 0 < len(value) <= MOST_VALUE
