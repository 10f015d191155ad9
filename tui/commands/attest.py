"""attest IMAGE --builder ID --key K: sign what this machine built, in the key's own format.

An OpenSSH key signs SHA256SUMS (SSHSIG), a minisign key a .sha256, a PEM key a DSSE envelope
with an in-toto Statement. With --twice -- CMD it builds in two clean rooms first, with
--verify it reads attestations and says whether they would count. What a builder says of
itself never counts towards independence; the policy's enrolment does.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from ceremony.errors import refuse
from ceremony.pe.digest import file_sha256
from ceremony.show import escaped
from tui import attesting
from tui.building import pins as building_pins
from tui.building.ending import ended_as_by_hand
from tui.building.pins import Pins
from tui.building.writing import require_folder, require_new, require_room, write_new
from tui.commands import Exit
from tui.commands.files import copy_image
from tui.commands.findings import put, put_json

EARLIEST_ZIP = 315532800  # 1980-01-01; what archives can hold, for a build that nothing dates
HOUR = 3600.0
LEAST_ROOM = 1 << 20  # bytes: a folder without them is full, or is not to be written

_BUILDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.set_defaults(wrong=parser.error)
    parser.add_argument("words", metavar="IMAGE | FILE... | -- CMD...", nargs="*")
    parser.add_argument("--builder", metavar="ID", help="as the policy enrols it")
    parser.add_argument(
        "--key", metavar="K", type=Path, help="the key file; of an agent's key the public one"
    )
    parser.add_argument("--name", help="the image's name in the policy, if not its file name")
    building_pins.arguments(parser)
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path(), help="where to write")
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--verify", action="store_true", help="read attestations and say whether they would count"
    )
    modes.add_argument(
        "--twice", action="store_true", help="build by CMD in two clean rooms, attest if equal"
    )
    reading = parser.add_argument_group("with --verify")
    reading.add_argument("--policy", type=Path, help="the policy that decides what counts")
    reading.add_argument("--image", type=Path, help="the image that is to be attested")
    rooms = parser.add_argument_group("with --twice")
    rooms.add_argument("--artifact", metavar="PATH", help="what CMD makes, as seen from /build")
    rooms.add_argument(
        "--input",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="a file or folder, seen read-only as /build/NAME (stores: by their own path)",
    )
    rooms.add_argument(
        "--hours", type=float, default=6.0, help="how long one build may take (default: 6)"
    )


def run(options: argparse.Namespace) -> Exit:
    """Write the attestation's files, never over files that exist, or verify some."""
    _require_usage(options)
    with ended_as_by_hand():
        return _run(options)


def _run(options: argparse.Namespace) -> Exit:
    if options.verify:
        from tui.building import verifying  # noqa: PLC0415 - loads every format there is

        return verifying.run(options)
    if not _BUILDER.fullmatch(options.builder):
        text = f"{escaped(options.builder)} is no builder's id"
        raise refuse("ATT-BUILDER", text)
    require_folder(options.output)  # before a key is asked for anything
    if options.twice:
        return _twice(options)
    image = Path(options.words[0])
    sha256 = file_sha256(copy_image(image)).hex
    gathered = building_pins.gather(options)
    return _attest(options, options.name or image.name, sha256, gathered, {})


def _require_usage(options: argparse.Namespace) -> None:
    """End with the usage (status 2) unless the options belong together."""
    if options.verify:
        if not options.words:
            options.wrong("--verify takes the files or the folder to read")
        return
    if options.builder is None or options.key is None:
        options.wrong("the following arguments are required: --builder, --key")
    if options.policy or options.image:
        options.wrong("--policy and --image go with --verify")
    if not options.twice:
        if len(options.words) != 1:
            options.wrong("one IMAGE is attested")
        if options.artifact or options.input:
            options.wrong("--artifact and --input go with --twice")
    elif not options.words or not options.artifact:
        options.wrong("--twice takes --artifact PATH and, behind --, the command that makes it")
    elif not 0 < options.hours <= 24 * 14:
        options.wrong("--hours is more than 0 and at most 336")


def _twice(options: argparse.Namespace) -> Exit:
    from tui.building import twice  # noqa: PLC0415 - only this mode makes rooms

    artifact = PurePosixPath("/build", options.artifact)
    if ".." in artifact.parts or not artifact.is_relative_to("/build") or artifact.name == "build":
        raise refuse("ATT-BUILD", f"{escaped(options.artifact)} is no path of a file below /build")
    # What would be in the way after hours of building is refused before.
    name = _possible_name(options.name or artifact.name)
    require_new(
        options.output, (artifact.name, *attesting.file_names(options.builder, options.key))
    )
    require_room(options.output, LEAST_ROOM)
    inputs = twice.take_inputs(options.input)
    twice.require_apart(options.key, inputs)
    options.isolation = options.isolation or "bwrap"
    gathered = building_pins.gather(options)
    epoch = gathered.values.get("source_date_epoch")
    if epoch is None:
        time = gathered.source.time if gathered.source else EARLIEST_ZIP
        epoch = str(time)
        gathered.add("source_date_epoch", epoch)
    built = twice.build_twice(
        twice.Order(
            command=tuple(options.words),
            inputs=inputs,
            artifact=str(artifact),
            epoch=int(epoch),
            seconds=options.hours * HOUR,
        )
    )
    if building_pins.gather(options).source != gathered.source:
        raise refuse("ATT-DIRTY", "the source changed while it was built")
    for pin, value in built.evidence:
        gathered.add(pin, value)
    said = "\0".join(options.words).encode("utf-8", "surrogateescape")
    gathered.add("build_command", hashlib.sha256(said).hexdigest())
    sha256 = attesting.sha256_hex(built.data)
    return _attest(options, name, sha256, gathered, {artifact.name: built.data})


def _attest(
    options: argparse.Namespace, name: str, sha256: str, gathered: Pins, beside: dict[str, bytes]
) -> Exit:
    """Sign, and write the attestation's files and what else belongs `beside` them."""
    claim = attesting.Claim(
        builder=options.builder,
        name=_possible_name(name),
        sha256=sha256,
        pins=gathered.all(),
        made=datetime.now(UTC),
        source=gathered.repository,
    )
    sys.stderr.writelines(f"note: {note}\n" for note in sorted(gathered.notes))
    files = attesting.attest(claim, options.key)
    written = write_new(options.output, {**beside, **files})
    if options.json:
        put_json({"builder": claim.builder, "sha256": claim.sha256, "files": [*map(str, written)]})
        return Exit.YES
    put(f"{claim.sha256}  {claim.name}", *(f"  {pin} {value}" for pin, value in claim.pins))
    put(*(f"wrote {escaped(str(path), 4096)}" for path in written))
    return Exit.YES


def _possible_name(name: str) -> str:
    """Return the name if a checksum line can hold it (ATT-SUMS)."""
    if not name or not name.isprintable() or name != name.strip() or name[0] in "\\*#":
        raise refuse("ATT-SUMS", f"{escaped(name)} cannot be named in a checksum file; give --name")
    return name
