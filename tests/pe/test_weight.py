from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("weighing.py")
MOST_KIB = 64 * 1024
MOST_SECONDS = 5.0  # for the slowest input, on a busy machine


def weigh(what: str) -> tuple[int, int, int, float]:
    path = os.pathsep.join(filter(None, (str(PROGRAM.parents[1]), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, PROGRAM, what],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    peak, refused, signed, slowest = done.stdout.split()
    return int(peak), int(refused), int(signed), float(slowest)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_hostile_inputs_take_no_more_than_64_mib_above_the_interpreter(
    record_property: Callable[[str, object], None],
) -> None:
    bare, *_ = weigh("bare")
    peak, refused, signed, slowest = weigh("hostile")
    record_property("KiB above the interpreter", peak - bare)
    record_property("seconds of the slowest input", slowest)
    assert refused > 100
    assert signed > 60
    # The inputs themselves, up to 4 MiB, count too; a bare run that is as heavy proves nothing.
    assert 0 < peak - bare <= MOST_KIB
    assert slowest < MOST_SECONDS
