"""Measure signing against its peers and the floor, in one run, pair by pair.

    .venv/bin/python bench/signing.py [--sizes 31,314,1070] [--rounds N] [--output FILE]

Every run of a peer has one of ours beside it, and which comes first alternates, so that a busy
machine is busy for both; ratios are the medians of these pairs. Images and outputs lie in
memory (/dev/shm). Prints a Markdown table and writes it to FILE.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import peers
from material import make_identity, make_image
from measuring import Cost, Failed, adopt_orphans, measure
from peers import Absent, Identity, Peer
from report import Figures, Pair, Run, Starts, median, report

from tui.rehearsal.parts import default_cache

MEMORY = Path("/dev/shm")  # noqa: S108 - the figures are about signing, not about a disk
SIZES = "31,314,1070"
LARGE = 1000  # MB, from which on fewer rounds are made
ROUNDS, LARGE_ROUNDS = 11, 5
ROOM = 2.2  # times the image: itself and one output


@dataclass(frozen=True, slots=True)
class Field:
    """All that take part: ours, the peers, and sbverify of ours with its options."""

    ours: Peer
    others: tuple[Peer, ...]
    verify: tuple[str, ...]
    folder: Path


def main() -> int:
    """Measure what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default=SIZES, help="image sizes in MB")
    parser.add_argument("--rounds", type=int, help=f"instead of {ROUNDS}, or {LARGE_ROUNDS}")
    parser.add_argument("--bin", type=Path, default=Path(sys.executable).parent, help="of ours")
    parser.add_argument("--output", type=Path, help="write the table here too")
    asked = parser.parse_args()
    signer, verifier = asked.bin / "uki-sbsign", asked.bin / "uki-sbverify"
    if not (signer.exists() and verifier.exists()):
        print(f"{signer} or {verifier} is not installed; run: make setup", file=sys.stderr)
        return 3
    adopt_orphans()
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="bench-") as scratch:
        folder = Path(scratch)
        identity = make_identity(folder)
        others, absent = find_peers(identity, folder)
        verify = (str(verifier), "--cert", str(identity.certificate))
        field = Field(peers.ours(signer, identity), others, verify, folder)
        try:
            starts = measure_starts(signer)
            figures = tuple(
                measure_size(
                    field, size, asked.rounds or (LARGE_ROUNDS if size >= LARGE else ROUNDS)
                )
                for size in map(int, asked.sizes.split(","))
            )
        except Failed as failed:
            print(failed, file=sys.stderr)
            return 1
    table = report(Run((field.ours, *others), absent, starts, figures))
    print(table, end="")
    if asked.output:
        asked.output.write_text(table, "utf-8")
    return 0


def find_peers(identity: Identity, folder: Path) -> tuple[tuple[Peer, ...], tuple[str, ...]]:
    """Return the peers that this machine has or can fetch, and why the others are left out."""
    cache = default_cache()
    wanted: dict[str, Callable[[], Peer]] = {
        "floor": peers.floor,
        "sbsign": lambda: peers.sbsign(identity),
        "osslsigncode": lambda: peers.osslsigncode(identity),
        "systemd-sbsign": lambda: peers.systemd_sbsign(identity, cache),
        "pesign": lambda: peers.pesign(identity, cache, folder / "nss"),
    }
    found, absent = [], []
    for name, find in wanted.items():
        try:
            found.append(find())
        except Absent as reason:
            absent.append(f"{name}: {reason}")
    return tuple(found), tuple(absent)


def measure_starts(signer: Path) -> Starts:
    """Measure what every run of ours spends before it does anything."""
    python = [measure((sys.executable, "-I", "-c", "pass"), {}) for _ in range(ROUNDS)]
    ours = [measure((str(signer), "--version"), {}) for _ in range(ROUNDS)]
    return Starts(median(python), median(ours))


def measure_size(field: Field, megabytes: int, asked: int | None) -> Figures:
    """Measure all peers at one size; the image is gone afterwards."""
    rounds = asked or (LARGE_ROUNDS if megabytes >= LARGE else ROUNDS)
    image, output = field.folder / "in.efi", field.folder / "out.efi"
    if shutil.disk_usage(field.folder).free < ROOM * megabytes * 1_000_000:
        raise Failed(f"{MEMORY} has no room for an image of {megabytes} MB and its signed copy")
    make_image(image, megabytes)
    pairs: dict[str, list[Pair]] = {peer.name: [] for peer in field.others}
    verified = []
    sign(field.ours, image, output)  # warms the caches; not counted
    for number in range(rounds):
        print(f"{megabytes} MB: round {number + 1} of {rounds}", file=sys.stderr)
        for peer in field.others:
            order = (field.ours, peer) if number % 2 == 0 else (peer, field.ours)
            costs = {each.name: sign(each, image, output) for each in order}
            pairs[peer.name].append(Pair(costs[field.ours.name], costs[peer.name]))
        sign(field.ours, image, output)
        verified.append(measure((*field.verify, str(output)), {}))
    image.unlink()
    output.unlink()
    return Figures(megabytes, rounds, pairs, median(verified))


def sign(peer: Peer, image: Path, output: Path) -> Cost:
    """Sign once into a file that is not there yet; raises Failed where nothing came out."""
    output.unlink(missing_ok=True)
    cost = measure(peer.sign(image, output), peer.environment)
    if not output.exists() or output.stat().st_size < image.stat().st_size:
        raise Failed(f"{peer.name} wrote no whole image")
    return cost


if __name__ == "__main__":
    raise SystemExit(main())
