"""Building twice: two rooms that differ in all but the inputs, one artifact or none.

Decides whether both builds end well (ATT-BUILD) and give the same bytes (ATT-TWICE-BUILD,
with the place where they differ first). Refuses to know keys and attestations.
"""

from __future__ import annotations

import mmap
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ceremony.errors import MediaTrouble, Trouble, refuse
from ceremony.show import counted, escaped
from tui import private_keys
from tui.building import sandbox
from tui.building.difference import describe, first_difference
from tui.building.proof import prove
from tui.building.sandbox import ROOMS, STORES, WORK, Input, Room, Site
from tui.commands.files import MOST_IMAGE

RULE = "ATT-BUILD"
SECONDS_APART = 2.1  # clocks tick in seconds, FAT's in two: a time that is built in must differ
MOST_STATUS = 64
# The command's own words go to standard error; the artifact alone to standard output.
SCRIPT = """
artifact=$1; shift
"$@" >&2
status=$?
if [ "$status" -ne 0 ]; then echo "ended $status"
elif [ ! -f "$artifact" ]; then echo missing
else echo made; exec cat -- "$artifact"
fi
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What to build: the command, its inputs, the artifact's path in a room, the epoch."""

    command: tuple[str, ...]
    inputs: tuple[Input, ...]
    artifact: str
    epoch: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Built:
    """The one artifact of two builds, and what is to be recorded of the rooms."""

    data: bytes
    evidence: tuple[tuple[str, str], ...]


def take_inputs(paths: list[Path]) -> tuple[Input, ...]:
    """Return the inputs as rooms see them: by their own names in /build, stores by their path."""
    inputs: dict[str, Input] = {}
    for path in paths:
        try:
            source = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "a loop of links"
            raise MediaTrouble("MED-PATH", f"{escaped(str(path))}: {reason}") from None
        name = path.name if path.name not in ("", "..") else source.name
        inside = str(source) if str(source).startswith(STORES) else f"{WORK}/{name}"
        if not name or inside in inputs:
            raise refuse(RULE, f"two inputs are called {escaped(inside)}, or one has no name")
        inputs[inside] = Input(source, inside)
    return tuple(inputs.values())


def require_apart(key: Path, inputs: tuple[Input, ...]) -> None:
    """ATT-SANDBOX: no room sees the private key, by which its build could sign or tell it."""
    halves = (key, key.with_name(key.name.removesuffix(".pub").removesuffix("-cert")))
    for half in halves:
        if not half.is_file() or _is_public(half):
            continue
        at = half.resolve()
        seen = (*(each.source for each in inputs), *map(Path, sandbox.SYSTEM))
        if any(at.is_relative_to(folder) for folder in seen):
            text = f"the build would see the private key {escaped(str(half))}; keep it elsewhere"
            raise refuse("ATT-SANDBOX", text)


def _is_public(key: Path) -> bool:
    head = private_keys.head_of(key)
    return not head.startswith((b"-----BEGIN ", b"untrusted comment:")) or head.startswith(
        b"-----BEGIN PUBLIC"
    )


def build_twice(order: Order) -> Built:
    """Build in both rooms and compare; nothing is left behind by a build that is stopped."""
    site = Site(sandbox.find(), order.inputs, order.epoch)
    begun = time.monotonic()
    with (
        tempfile.TemporaryFile(buffering=0) as first,
        tempfile.TemporaryFile(buffering=0) as second,
    ):
        for number, (room, output) in enumerate(zip(ROOMS, (first, second), strict=True), 1):
            prove(site, room)
            if number > 1:
                time.sleep(max(0.0, begun + SECONDS_APART - time.monotonic()))
            sys.stderr.write(f"build {number} of 2, in the room {room.host}\n")
            sys.stderr.flush()
            _build(site, room, order, output)
        data = _same(order, first, second)
    evidence = (
        ("built_twice", "equal"),
        ("sandbox", site.found.evidence),
        ("sandbox_options", site.digest()),
    )
    return Built(data, evidence)


def _build(site: Site, room: Room, order: Order, output: BinaryIO) -> None:
    """Leave the artifact in `output`, from where its own first line ends."""
    command = ("/bin/sh", "-c", SCRIPT, "sh", order.artifact, *order.command)
    status = site.run(room, command, output, MOST_IMAGE + MOST_STATUS, order.seconds)
    output.seek(0)
    match output.readline(MOST_STATUS).split():
        case [b"made"] if status == 0:
            return
        case [b"ended", code]:
            raise Trouble(RULE, f"the command ended with status {code.decode('ascii', 'replace')}")
        case [b"missing"]:
            text = f"the command left no file {escaped(order.artifact)}"
            raise Trouble(RULE, text)
        case _:
            raise Trouble(RULE, f"the build in the room {room.host} broke off (status {status})")


def _same(order: Order, first: BinaryIO, second: BinaryIO) -> bytes:
    """ATT-TWICE-BUILD: both files hold the same behind their first line."""
    one, other = bytes(_contents(order, first)), _contents(order, second)
    if first_difference(one, other) is None:
        return one  # the very bytes that were compared
    at, text = describe(one, other)
    raise refuse("ATT-TWICE-BUILD", f"{escaped(order.artifact)}: {text}", at)


def _contents(order: Order, file: BinaryIO) -> memoryview:
    start = file.tell()
    view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[start:]
    if len(view) > MOST_IMAGE:
        text = f"{escaped(order.artifact)} has {counted(len(view))}, at most {MOST_IMAGE:,}"
        raise refuse("MED-SIZE", text)
    return view
