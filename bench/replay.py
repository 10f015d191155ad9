"""Measure replay: a large image, a long transcript, an archive of a thousand ceremonies.

    .venv/bin/python bench/replay.py [--rounds N] [--output FILE]

Everything is a real rehearsal, held here first. Beside each round stands what anybody must do,
`sha256sum` of the bundle's two images, so that a busy machine is busy for both. Files lie in
/dev/shm.
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
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from material import make_image
from measuring import LEAVE, adopt_orphans
from report import machine

from ceremony.content import octets_of
from ceremony.events import Excepted
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
FLAT = 1.25


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


@dataclass(frozen=True)
class Cost:
    """Seconds of wall clock, seconds of processor of all threads or processes, peak in MiB."""

    wall: float
    cpu: float
    peak: float = 0.0


def cost(work: Callable[[], object]) -> Cost:
    """Return what a piece of work in this process costs."""
    began, used = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - began, time.process_time() - used)


@dataclass(frozen=True)
class Inside:
    """Rounds of replaying, of one SHA-256 of the image here, of sha256sum of both images."""

    events: int
    replayed: list[Cost]
    plain: list[Cost]
    summed: list[Cost]


def inside(out: Path, rounds: int) -> Inside:
    """Measure in this process, with the files in memory."""
    files = read_bundle(out)
    image = octets_of(files["anchor.efi"])
    found = replay(files)
    if found.verdict != "REPRODUCED":
        sys.exit(f"what is measured is {found.verdict}: {found.findings[:1]}")
    made = Inside(found.events, [], [], [])
    for _ in range(rounds):
        made.plain.append(cost(lambda: hashlib.sha256(image).digest()))
        made.replayed.append(cost(lambda: replay(files)))
        made.summed.append(summed(out))
    return made


def summed(out: Path) -> Cost:
    """Return what `sha256sum` of the unsigned and the signed image costs."""
    words = ("sha256sum", *sorted(path.name for path in out.glob("*.efi")))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(words, cwd=out, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, used)


def command(path: Path) -> Cost:
    """Return what the whole command costs: start of Python, reading, and its workers."""
    reap()
    began, cpu, peak = time.perf_counter(), 0.0, 0
    words = ("sh", "-c", LEAVE, os.devnull, sys.executable, "-I", "-m", "tui", "replay", str(path))
    shell = os.posix_spawn("/bin/sh", words, os.environ)
    while True:
        try:  # the command is an orphan of the shell, and so are its workers' server and workers
            pid, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            return Cost(time.perf_counter() - began, cpu, peak / 1024)
        if status:
            sys.exit(f"{path} is measured, and is not reproduced")
        if pid != shell:
            peak, cpu = max(peak, used.ru_maxrss), cpu + used.ru_utime + used.ru_stime


def reap() -> None:
    """Wait for what a rehearsal left: the process that held its token."""
    try:
        while True:
            os.wait4(-1, 0)
    except ChildProcessError:
        return


def copies(small: Prepared, folder: Path, count: int) -> Path:
    """Make an archive of `count` copies of one bundle."""
    for number in range(count):
        shutil.copytree(small.out, folder / f"{number:04d}")
    return folder


def report(folder: Path, rounds: int) -> str:
    """Measure everything; return the page."""
    load = os.getloadavg()[0]
    parts = [folder / name for name in ("large", "small", "few", "many")]
    for part in parts:
        part.mkdir()
    large = held(parts[0], MEGABYTES, EVENTS - 43)
    small = held(parts[1], 1, 0)
    image = inside(large.out, rounds)
    whole = command(large.out)
    few = command(copies(small, parts[2], CEREMONIES // 10))
    many = command(copies(small, parts[3], CEREMONIES))
    lengthened(small, MANY)
    long = inside(small.out, rounds)
    words = [
        f"{machine()}.",
        "",
        f"By `bench/replay.py` (`make bench-replay`): {rounds} rounds, medians;",
        f"a load of {load:.1f} before the first round: where it is above the processors, the wall",
        "clock says more of the machine than of replay, and processor seconds say what it costs.",
        "Beside each round stands what anybody must do with a bundle: `sha256sum` of both",
        "images, as `sha256sum -c SHA256SUMS` does. The ratio of wall time to it is the one",
        "that is wanted. One SHA-256 of one image inside Python is shown too: OpenSSL takes the",
        "processor's own instructions for it. Replay goes over an image six times with that",
        "SHA-256: both files, the sections, Authenticode, the signed file put together, and",
        "Authenticode of that by the own verifier. And it sums the signed file twice for its",
        "CheckSum, in the interpreter, which alone costs four such hashes. So it is not twice",
        "one bare hash, and is not meant to be.",
    ]
    table = [
        "| what | wall | processor | peak | wanted | |",
        "|---|---|---|---|---|---|",
        row(f"replay, {image.events} events, {MEGABYTES} MB", image.replayed, IMAGE_SECONDS),
        row("`sha256sum` of both images", image.summed),
        row("SHA-256 of one image in Python", image.plain),
        ratio("replay by `sha256sum` of both images", image.replayed, image.summed, RATIO),
        ratio("replay by SHA-256 of one image in Python", image.replayed, image.plain),
        row("the command on it", [whole]),
        row(f"replay, {long.events:,} events", long.replayed, MANY_SECONDS),
        row(f"archive of {CEREMONIES // 10}", [few]),
        row(f"archive of {CEREMONIES:,}", [many]),
    ]  # fmt: skip
    flat = "met" if many.peak <= few.peak * FLAT else "not met"
    last = f"Memory of ten times the archive, by the largest process: {flat}."
    title = f"# Replay, measured {datetime.now(UTC).date()}"
    return "\n".join((title, "", *words, "", *table, "", last, ""))


def row(name: str, costs: list[Cost], wanted: float | None = None) -> str:
    """Return a row of medians, and whether the wall clock kept to `wanted` seconds."""
    wall, cpu = (statistics.median(values) for values in zip(*map(_pair, costs), strict=True))
    peak = max(cost.peak for cost in costs)
    shown = f"{peak:.0f} MiB" if peak else ""
    if wanted is None:
        return f"| {name} | {wall:.2f} s | {cpu:.2f} s | {shown} | | |"
    met = "met" if wall <= wanted else "not met"
    return f"| {name} | {wall:.2f} s | {cpu:.2f} s | {shown} | {wanted} s | {met} |"


def ratio(name: str, ours: list[Cost], theirs: list[Cost], wanted: float | None = None) -> str:
    """Return a row of the median ratio over rounds, and whether that of wall time is met."""
    pairs = list(zip(map(_pair, ours), map(_pair, theirs), strict=True))
    wall = statistics.median(one[0] / other[0] for one, other in pairs)
    cpu = statistics.median(one[1] / other[1] for one, other in pairs)
    if wanted is None:
        return f"| {name} | {wall:.2f} | {cpu:.2f} | | | |"
    met = "met" if wall <= wanted else "not met"
    return f"| {name} | {wall:.2f} | {cpu:.2f} | | {wanted} | {met} |"


def _pair(each: Cost) -> tuple[float, float]:
    return each.wall, each.cpu


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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
