"""The figures of the quorum as a Markdown table: medians, and ratios as medians over rounds.

Decides how they are put before people, and against which targets. It refuses to know how they
were measured.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime

from measuring import Cost
from report import machine

FEW, MEGABYTES = 25, 172
SECONDS, MEBIBYTES, RELEASE_SECONDS, RATIO = 4.0, 300, 2.0, 2.0
INTRODUCTION = """\
{count:,} attestations of {builders} builders, equal parts SSHSIG, minisign, DSSE and OpenPGP;
Ed25519, ECDSA P-256 and RSA-3072 (minisign: Ed25519 alone). Figures are medians; a wall time
includes the start of Python. Ratios are of processor time where nothing else is said, ours and
the bare checks' in turn, as other work may share the machine. `check` reads in the confined child
and verifies every signature once more in its own process. A medium holds 20,000 files at most
(MED-COUNT); for the table of growth the caps are lifted. Peers that start a process for each
signature verify a sample.
"""
BUSY = """\
The machine was busy with other work throughout: the wall times are not those of the program, and
the targets that they miss want another run on a quiet one.
"""


@dataclass(frozen=True)
class Figures:
    """All that was measured, by round; `inside`, `alone` and `bare` are processor seconds.

    `inside` reads from disk and judges, `alone` judges; `fetched` reads the same files and does the
    bare checks; `apart` is a whole `check` of the same attestations, read in the confined child and
    verified again here. `walls` are the wall seconds of `inside` and of `bare`. `growth` has the
    number of attestations, the cost of reading and judging them, and the seconds of both and of
    judging.
    """

    judged: list[Cost]
    inside: list[float]
    alone: list[float]
    bare: list[float]
    fetched: list[float]
    apart: list[Cost]
    release: list[Cost]
    growth: list[tuple[int, Cost, float, float]]
    walls: list[tuple[float, float]]
    peers: dict[str, list[float]]


def report(count: int, builders: int, figures: Figures) -> str:
    """Return the Markdown text; a target that is missed is said to be."""
    wall = statistics.median(cost.wall for cost in figures.judged)
    peak = statistics.median(cost.peak for cost in figures.judged)
    ratio = _ratio(figures.inside, figures.bare)
    walls = statistics.median(ours / theirs for ours, theirs in figures.walls)
    apart = statistics.median(cost.wall for cost in figures.apart)
    apart_peak = statistics.median(cost.peak for cost in figures.apart)
    alone = _ratio(figures.alone, figures.bare)
    fetched = _ratio(figures.inside, figures.fetched)
    release = statistics.median(cost.wall for cost in figures.release)
    lines = [
        f"# Quorum, measured {datetime.now(UTC).date()}\n",
        f"{machine()}.\n",
        INTRODUCTION.format(count=count, builders=builders),
        *([BUSY] if os.getloadavg()[2] > (os.cpu_count() or 1) else []),
        "| | measured | target |",
        "|---|---|---|",
        f"| {count:,} from disk to verdict, wall | {wall:.2f} s | {SECONDS} s |",
        f"| the same, peak memory | {peak:.0f} MiB | {MEBIBYTES} MiB |",
        f"| `check` of the same in the confined child, wall | {apart:.2f} s | {SECONDS} s |",
        f"| the same, peaks of both processes together | {apart_peak:.0f} MiB | {MEBIBYTES} MiB |",
        f"| judged / the bare signature checks | {alone:.2f} | |",
        f"| read from disk and judged / the bare signature checks | {ratio:.2f} | {RATIO} |",
        f"| the same, of wall time | {walls:.2f} | |",
        f"| the same / reading the same files and the bare checks | {fetched:.2f} | |",
        f"| `check`, {FEW} builders, {MEGABYTES} MB | {release:.2f} s | {RELEASE_SECONDS} s |",
        "",
        "| attestations | disk to verdict, cpu | for each | judged alone, for each | peak memory |",
        "|---|---|---|---|---|",
        *(
            f"| {n:,} | {s:.2f} s | {s / n * 1e6:.0f} us | {judged / n * 1e6:.0f} us"
            f" | {cost.peak:.0f} MiB |"
            for n, cost, s, judged in figures.growth
        ),
        "",
        f"| peer, a sample scaled to {count:,} | seconds | its / ours |",
        "|---|---|---|",
        f"| the bare checks, whole | {statistics.median(figures.bare):.2f} | {1 / ratio:.2f} |",
        *(
            f"| {name} | {statistics.median(times):.1f} | {_ratio(times, figures.inside):.1f} |"
            for name, times in figures.peers.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
