"""Every fault at every operation of a ceremony: resumed to the close, nothing lost or doubled.

What is enumerated stands in docs/spec/durability.md. The least numbers below are today's:
a walk that meets fewer operations or faults fails. UKI_CEREMONY_FAULTS=write writes them anew.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rehearsing
from durability import walking
from durability.faults import LANES
from marks import accepts, refuses

from tui.rehearsal import prepare

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["durability.walking", "durability.faults", "rehearsing"])
ALL = (0, 10**6)
SIGNING = (28, 31)  # lines, of login, intent and result
LEAST = Path(__file__).with_name("least.json")
long = pytest.mark.skipif(
    "UKI_CEREMONY_FAULTS" not in os.environ, reason="the long lane: make faults"
)


def walked(base: Path, lane: str, lines: tuple[int, int] = ALL, name: str = "") -> dict[str, Any]:
    """Walk the rehearsal in `base`; print the table; assert what holds for every walk."""
    process = SERVER.Process(target=walking.walk, args=(str(base), lane, lines))
    process.start()
    process.join()
    result: dict[str, Any] = json.loads((base / "result.json").read_text("utf-8"))
    print(table(name or lane, result))  # noqa: T201 - the count is printed
    assert not result["failures"], "\n".join(result["failures"][:3])
    if os.environ.get("UKI_CEREMONY_FAULTS") == "write":
        _write_least(name or lane, result)
    least = json.loads(LEAST.read_text("utf-8"))[name or lane]
    for kind, count in least["operations"].items():
        assert result["kinds"].get(kind, 0) >= count, f"fewer operations: {kind}"
    for fault in LANES[lane]:
        assert result["rows"][fault.name][0] >= least["points"][fault.name], fault.name
    return result


def _write_least(name: str, result: dict[str, Any]) -> None:
    least = json.loads(LEAST.read_text("utf-8")) if LEAST.exists() else {}
    points = {fault: row[0] for fault, row in result["rows"].items()}
    least[name] = {"operations": result["kinds"], "points": points}
    LEAST.write_text(json.dumps(least, indent=1, sort_keys=True) + "\n", "utf-8")


def table(name: str, result: dict[str, Any]) -> str:
    """Return what was walked as the table that stands in the specification."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(result["kinds"].items()))
    lines = [f"{name}: {sum(result['kinds'].values())} operations ({kinds})", ""]
    lines += ["| fault | points | states | outcomes |", "|---|---|---|---|"]
    for fault, (points, states, outcomes) in result["rows"].items():
        said = ", ".join(f"{count} {how}" for how, count in sorted(outcomes.items()))
        lines.append(f"| {fault} | {points} | {states} | {said} |")
    points = sum(row[0] for row in result["rows"].values())
    states = sum(row[1] for row in result["rows"].values())
    lines += [f"| together | {points:,} | {states:,} | CPU {result['seconds']:.0f} s |", ""]
    return "\n".join(lines)


@accepts("TRN-WRITE", "TRN-FORK", "MED-RESUME", "MED-WRITE", "TRN-CLOSE")
def test_killed_or_without_power_at_every_operation(base: Path) -> None:
    walked(base, "killed and power")


@refuses("TRN-WRITE", "MED-WRITE")
def test_a_medium_that_fails_at_every_operation_of_signing(base: Path) -> None:
    walked(base, "failing", SIGNING)


@refuses("TRN-WRITE")
def test_a_medium_is_pulled_at_every_operation_of_signing(base: Path) -> None:
    walked(base, "pulled", SIGNING)


@long
@pytest.mark.parametrize("lane", ["killed, all", "power, all", "failing, all", "pulled, all"])
def test_every_fault_at_every_operation(base: Path, lane: str) -> None:
    walked(base, lane)


def torn(base: Path, log: str, lines: int, more: bytes) -> None:
    """Leave the logs as a crash in the middle of line `lines` + 1 of `log` leaves them."""
    for name in ("log-a", "log-b"):
        path = base / "r" / name / "transcript.jsonl"
        whole = path.read_bytes().splitlines(keepends=True)
        kept = whole[: lines + (name == "log-a" and log == "log-b")]
        path.write_bytes(b"".join(kept) + (more if name == log else b""))


def renewed(base: Path) -> None:
    torn(base, "log-a", 12, b"")
    (base / "r/log-b/transcript.jsonl").unlink()


def kept(base: Path) -> None:
    """Leave the logs closed."""


STATES: dict[str, Callable[[Path], None]] = {
    "torn on log-b, one line behind": lambda base: torn(base, "log-b", 12, b'{"body":'),
    "torn on log-a": lambda base: torn(base, "log-a", 12, b'{"body":'),
    "log-b is new": renewed,
    "closed, outputs gone": kept,
}


@accepts("TRN-FORK", "TRN-WRITE")
@pytest.mark.parametrize("state", STATES)
def test_killed_or_without_power_while_resuming(base: Path, state: str) -> None:
    assert rehearsing.held(prepare.reopen(base / "r")).released
    STATES[state](base)
    shutil.rmtree(base / "r/out")
    walked(base, "killed and power", (0, 1), f"resuming: {state}")
