"""What a line costs: an append to two logs beside the bare two writes and fsyncs of the same disk.

Ours and the bare ones alternate, so that a busy disk is busy for both. Decides nothing about
the disk: name the folders of the media that are meant (by default two new ones here).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from ceremony.events import FORMAT, Begun, ClockRead
from ceremony.types import Mode
from transcripts.log import Stamp
from transcripts.store import FileJournal

LINE = 1200  # bytes, about the mean of a ceremony's lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk that is meant")
    parser.add_argument("--lines", type=int, default=300)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="bench-") as scratch:
        ours, bare = _measured(Path(scratch), asked.lines)
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    print(f"{asked.lines} lines of {LINE:,} bytes on two logs")
    for name, times in (("append to two logs", ours), ("two bare writes and fsyncs", bare)):
        last = statistics.quantiles(times, n=100)[98]
        print(f"{name:<28}median {statistics.median(times):7.2f} ms, 99 in 100 {last:7.2f} ms")
    print(f"ratio, median over pairs    {statistics.median(ratios):.2f}")


def _measured(folder: Path, lines: int) -> tuple[list[float], list[float]]:
    """Return milliseconds of each append of ours, and of the bare one beside it."""
    clock = iter(range(10**9))
    logs = (folder / "a", folder / "b")
    journal = FileJournal(logs, lambda: Stamp(next(clock), "boot", "w"))
    journal.recover()
    begun = Begun(
        FORMAT, "ab" * 16, Mode.REHEARSAL, "1", ("open",), "t", "0" * 64, "3", ("a", "b"), None
    )
    journal.append(begun)
    event = ClockRead("x" * (LINE - 300))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [os.open(folder / name, flags, 0o644) for name in ("c", "d")]
    data = bytes(LINE)
    ours: list[float] = []
    bare: list[float] = []
    for number in range(lines):
        for mine in (True, False) if number % 2 else (False, True):
            began = time.perf_counter()
            if mine:
                journal.append(event)
            else:
                for file in files:
                    os.write(file, data)
                    os.fsync(file)
            (ours if mine else bare).append((time.perf_counter() - began) * 1000)
    return ours, bare


if __name__ == "__main__":
    main()
