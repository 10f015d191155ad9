"""rehearse DIR: prepare a whole rehearsal in a folder, and hold it (again: resume it)."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from ceremony.types import Mode
from tui import ssh_keys
from tui.commands import Exit, holding
from tui.commands.findings import put
from tui.commands.holding import chosen, held
from tui.rehearsal.prepare import Prepared, prepare
from tui.rehearsal.script import UnattendedFace
from tui.wiring import Places


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="a new folder, or one to resume"
    )
    parser.add_argument("--image", type=Path, help="rehearse with this UKI, not the demo's own")
    parser.add_argument(
        "--bits", type=int, default=2048, choices=(2048, 3072, 4096), help="RSA size"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--auto", action="store_true", help="let a script answer")
    how.add_argument("--plain", action="store_true", help="plain prompts, no full screen")
    how.add_argument("--prepare-only", action="store_true", help="prepare DIR and stop")
    holding.arguments(parser)


def run(options: argparse.Namespace) -> Exit:
    """Prepare and hold."""
    prepared = prepare(options.directory, options.image, options.bits)
    put(f"image  {prepared.image_name}: {prepared.image_source}", f"key    {prepared.key_source}")
    put(f"sheet  {prepared.sheet}: have it beside you, it holds the words and the PIN")
    if options.prepare_only:
        return Exit.YES
    places = places_of(prepared)
    if options.auto:
        return held(places, lambda work: work(UnattendedFace(prepared.sheet)))
    return held(places, chosen(options))


def places_of(prepared: Prepared) -> Places:
    """Return where a prepared rehearsal takes from and puts to."""
    return Places(
        mode=Mode.REHEARSAL,
        policy=prepared.policy,
        incoming=prepared.media,
        logs=prepared.logs,
        out=prepared.out,
        machine=prepared.machine,
        approvals=prepared.approvals,
        signers={
            person: partial(ssh_keys.sign, prepared.person_key(person))
            for person in WITNESSES
            if prepared.person_key(person).is_file()
        },
    )


WITNESSES = ("ines", "ed", "kim", "kay")
