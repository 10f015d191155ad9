"""Measure replay: a large image, a long transcript, an archive of a thousand ceremonies.

    .venv/bin/python bench/replay.py [--rounds N] [--output FILE]

Everything is a real rehearsal, held here first. Hashing the same image stands beside each round,
so that a busy machine is busy for both. Files lie in /dev/shm.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from material import make_image
from measuring import Cost, adopt_orphans, measure

from ceremony.events import Excepted
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from transcripts.canon import canonical
from transcripts.checkpoint import NAMESPACE, Head, origin
from transcripts.countersign import file_name
from transcripts.files import read_bundle
from transcripts.log import FIRST, link, read_log
from transcripts.merkle import Tree
from transcripts.replay import make_sums, replay
from tui import ssh_keys
from tui.commands.rehearse import places_of
from tui.rehearsal.prepare import Prepared, prepare
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold

MEMORY = Path("/dev/shm")  # noqa: S108 - the figures are about replay, not about a disk
MEGABYTES, EVENTS, MANY, CEREMONIES = 172, 200, 100_000, 1_000
IMAGE_SECONDS, RATIO, MANY_SECONDS = 1.5, 2.0, 5.0
MEBIBYTE = 2**20


class Talkative(ScriptFace):
    """Answers by the sheet, and reports exceptions first until there are enough events."""

    def __init__(self, sheet: Path, exceptions: int) -> None:
        super().__init__(sheet, io.StringIO())
        self._left = exceptions

    def answer(self, question: Question) -> Answer | Interruption:
        """Report an exception, or answer."""
        if self._left:
            self._left -= 1
            return Excepted("ines", "the light is on", f"fuse {self._left} blew", "a torch is held")
        return super().answer(question)


def held(folder: Path, megabytes: int, exceptions: int) -> Prepared:
    """Hold a rehearsal of an image of this size; return it."""
    image = folder / "anchor.efi"
    make_image(image, megabytes)
    prepared = prepare(folder / "r", image)
    image.unlink()
    if not hold(places_of(prepared), Talkative(prepared.sheet, exceptions)).released:
        sys.exit("the rehearsal to be measured was not released")
    return prepared


def lengthened(prepared: Prepared, events: int) -> None:
    """Put exceptions into a finished transcript, and let its people sign the new checkpoint."""
    log = read_log((prepared.out / "transcript.jsonl").read_bytes())
    values = [json.loads(raw) for raw in log.raw]
    body = {"person": "ines", "expected": "light", "happened": "a fuse blew", "decided": "a torch"}
    more = {**values[10], "event": "ceremony.exception", "kind": "exception", "body": body}
    values[11:11] = [{**more} for _ in range(events - len(values))]
    lines: list[bytes] = []
    for seq, value in enumerate(values):
        value |= {"seq": seq, "prev": link(lines[-1]) if lines else FIRST}
        lines.append(canonical(value))
    (prepared.out / "transcript.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    begun = log.lines[0]
    tree = Tree(lines)
    head = Head(origin(begun.ceremony, values[0]["body"]["mode"]), tree.size, tree.root())
    (prepared.out / "checkpoint.txt").write_bytes(head.text)
    for person in ("ed", "ines"):
        signature = ssh_keys.sign(prepared.person_key(person), NAMESPACE, head.text)
        (prepared.out / file_name(person)).write_bytes(signature)
    (prepared.out / "SHA256SUMS").unlink()
    sums = make_sums(read_bundle(prepared.out))
    (prepared.out / "SHA256SUMS").write_bytes(sums)


def seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def inside(out: Path, rounds: int) -> tuple[list[float], list[float], list[float], int]:
    """Return seconds to replay, to hash the image once, to take every digest, and the events."""
    files = read_bundle(out)
    image = files["anchor.efi"]
    found = replay(files)
    if found.verdict != "REPRODUCED":
        sys.exit(f"what is measured is {found.verdict}: {found.findings[:1]}")
    replayed, plain, digests = [], [], []
    for _ in range(rounds):
        plain.append(seconds(lambda: hashlib.sha256(image).digest()))
        replayed.append(seconds(lambda: replay(files)))
        digests.append(seconds(lambda: inspect(image, OPEN_GATES)))
    return replayed, plain, digests, found.events


def command(path: Path, rounds: int) -> list[Cost]:
    """Return what the whole command costs, start of Python and reading included."""
    words = (sys.executable, "-I", "-m", "tui", "replay", str(path))
    return [measure(words, {}) for _ in range(rounds)]


def archive(small: Prepared, folder: Path, count: int) -> tuple[float, float]:
    """Return seconds for an archive of `count` copies, and the largest worker in MiB."""
    for number in range(count):
        shutil.copytree(small.out, folder / f"{number:04d}")
    began, wall, peak = time.perf_counter(), 0.0, 0
    words = (sys.executable, "-I", "-m", "tui", "replay", str(folder))
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(words[0], words, os.environ, file_actions=quiet)
    while True:
        try:  # workers and their server are ours once the command has ended
            pid, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            return wall, peak / 1024
        peak = max(peak, used.ru_maxrss)
        if pid == child:
            wall = time.perf_counter() - began
            if status:
                sys.exit("an archive that is measured is not reproduced")


def row(name: str, figure: str, wanted: str, *, met: bool | None = None) -> str:
    """Return a row of the table."""
    said = {True: "met", False: "not met", None: ""}[met]
    return f"| {name} | {figure} | {wanted} | {said} |"


def report(folder: Path, rounds: int) -> str:
    """Measure everything; return the page."""
    parts = [folder / name for name in ("large", "small", "few", "many")]
    for part in parts:
        part.mkdir()
    large = held(parts[0], MEGABYTES, EVENTS - 43)
    small = held(parts[1], 1, 0)
    replayed, plain, digests, events = inside(large.out, rounds)
    whole = command(large.out, rounds)
    few_seconds, few_peak = archive(small, parts[2], CEREMONIES // 10)
    many_seconds, many_peak = archive(small, parts[3], CEREMONIES)
    lengthened(small, MANY)
    long = command(small.out, rounds)
    long_inside = inside(small.out, rounds)[0]
    median = statistics.median
    ratio = median(r / p for r, p in zip(replayed, plain, strict=True))
    every = median(r / d for r, d in zip(replayed, digests, strict=True))
    wall, long_wall = median(replayed), median(long_inside)
    rows = [
        row(f"replay, {events} events, {MEGABYTES} MB", f"{wall:.2f} s", f"{IMAGE_SECONDS} s",
            met=wall <= IMAGE_SECONDS),
        row("the same, by SHA-256 of the image once", f"{ratio:.1f}", f"{RATIO}",
            met=ratio <= RATIO),
        row("the same, by all digests of the image that the record holds, in turn",
            f"{every:.2f}", f"{RATIO}", met=every <= RATIO),
        row("the command on it, Python and reading included",
            f"{median(c.wall for c in whole):.2f} s, {max(c.peak for c in whole):.0f} MiB", ""),
        row(f"replay, {MANY:,} events", f"{long_wall:.2f} s", f"{MANY_SECONDS} s",
            met=long_wall <= MANY_SECONDS),
        row("the command on it", f"{median(c.wall for c in long):.2f} s, "
            f"{max(c.peak for c in long):.0f} MiB", ""),
        row(f"archive of {CEREMONIES // 10}", f"{few_seconds:.1f} s, {few_peak:.0f} MiB", ""),
        row(f"archive of {CEREMONIES:,}", f"{many_seconds:.1f} s, {many_peak:.0f} MiB",
            "as much memory", met=many_peak <= few_peak * 1.5 + 16),
    ]  # fmt: skip
    load = os.getloadavg()[0]
    processors = len(os.sched_getaffinity(0))
    return "\n".join(
        (
            "# Replay",
            "",
            f"By `bench/replay.py`: {rounds} rounds, medians; {processors} processors, Python",
            f"{sys.version.split()[0]}, a load of {load:.1f} from the start on. Hashing stands",
            "beside each round. An image's record holds SHA-256, Authenticode, SHA-384, SHA-512",
            "and the SHA-256 of each section; replay takes all of them, attaches the signature,",
            "sums the file twice and hashes what was put together: CPU time that no single",
            "SHA-256 pays for. The peak of an archive is that of its largest process.",
            "",
            "| what | figure | wanted | |",
            "|---|---|---|---|",
            *rows,
            "",
        )
    )


def main(arguments: list[str]) -> int:
    """Measure and print, or write the page."""
    parser = argparse.ArgumentParser(prog="replay.py")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    adopt_orphans()
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        page = report(Path(folder), options.rounds)
    write: Callable[[str], object] = sys.stdout.write
    if options.output:
        write = partial(options.output.write_text, encoding="utf-8")
    write(page)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stderr.write(f"measured; this process had at most {peak // MEBIBYTE} MiB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
