"""The benchmark's figures as a Markdown table: medians, and ratios as medians over pairs.

Decides how figures are put before people, with the machine, the date and every version. It
refuses to know how they were measured.
"""

from __future__ import annotations

import os
import platform
import ssl
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from measuring import Cost
from peers import Peer

INTRODUCTION = """\
# Signing, measured {date}

{machine}.

Images and outputs lie in memory (/dev/shm); RSA-2048, SHA-256. Figures are medians; ratios are
medians over pairs of runs side by side: below 1.00, {name} costs less. A run of {name}
includes the start of Python and, as no peer's does, a second read that verifies what was
written; such a read is shown apart, by uki-sbverify of the output.
"""
HEAD = """\
| | wall, s | cpu, s | peak, MiB | wall, ours / its | cpu, ours / its |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """One run of a peer and the run of ours beside it."""

    ours: Cost
    theirs: Cost


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured at one size of image; `verify` is the median of our sbverify."""

    megabytes: int
    rounds: int
    pairs: dict[str, list[Pair]]
    verify: Cost


@dataclass(frozen=True, slots=True)
class Starts:
    """The medians of starting Python, and of starting our command to say its version."""

    python: Cost
    ours: Cost


@dataclass(frozen=True, slots=True)
class Run:
    """One whole run; the first of `peers` is ours."""

    peers: tuple[Peer, ...]
    absent: tuple[str, ...]
    starts: Starts
    figures: tuple[Figures, ...]


def report(run: Run) -> str:
    """Return the Markdown text."""
    name = run.peers[0].name
    parts = [INTRODUCTION.format(name=name, date=datetime.now(UTC).date(), machine=machine())]
    for figures in run.figures:
        parts += [f"## {figures.megabytes} MB, {figures.rounds} rounds\n"]
        parts += [HEAD + "".join(_rows(name, figures))]
    parts += ["## Start alone\n", HEAD + _row("python -I -c pass", run.starts.python)]
    parts[-1] += _row(f"{name} --version", run.starts.ours)
    parts += ["## Versions\n"]
    parts += [f"* {peer.name}: {peer.version}" for peer in run.peers]
    parts += [f"* left out: {reason}" for reason in run.absent]
    return "\n".join(parts) + "\n"


def median(costs: Iterable[Cost]) -> Cost:
    """Return the medians of the three figures, each for itself."""
    told = tuple(costs)
    return Cost(
        statistics.median(cost.wall for cost in told),
        statistics.median(cost.cpu for cost in told),
        statistics.median(cost.peak for cost in told),
    )


def _rows(name: str, figures: Figures) -> Iterator[str]:
    every = (pair.ours for pairs in figures.pairs.values() for pair in pairs)
    yield _row(f"**{name}**", median(every))
    for peer, pairs in figures.pairs.items():
        wall = statistics.median(pair.ours.wall / pair.theirs.wall for pair in pairs)
        cpu = statistics.median(pair.ours.cpu / pair.theirs.cpu for pair in pairs)
        yield _row(peer, median(pair.theirs for pair in pairs), f"{wall:.2f}", f"{cpu:.2f}")
    yield _row("apart: uki-sbverify", figures.verify)


def _row(name: str, cost: Cost, wall: str = "", cpu: str = "") -> str:
    return f"| {name} | {cost.wall:.2f} | {cost.cpu:.2f} | {cost.peak:.0f} | {wall} | {cpu} |\n"


def machine() -> str:
    """Return what was measured on: processor, memory, versions, and how busy it was."""
    processors = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    names = {line.partition(": ")[2] for line in processors if line.startswith("model name")}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{' and '.join(sorted(names)) or platform.machine()}, {os.cpu_count()} processors,"
        f" {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()},"
        f"\n{ssl.OPENSSL_VERSION}; load at the end {load}"
    )
