"""Whether bubblewrap gets its namespaces here: where a kernel says no, its tests are skipped.

Decides which of bubblewrap's own words are such a no; that it crashed, or does not know an
option, is a failure and hides nothing.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

import pytest

_NO = re.compile(
    r"^bwrap: .*(namespace|not permitted|permission|pivot_root|make / slave)", re.IGNORECASE
)


def is_no(said: str) -> bool:
    """Say whether bubblewrap told that it may make no namespaces."""
    return bool(_NO.search(said))


def needed_namespaces(command: Sequence[str]) -> None:
    """Run a command in bubblewrap; skip the test where no namespaces are given."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    said = done.stderr.strip()
    if done.returncode == 1 and is_no(said):
        pytest.skip(f"no namespaces for bwrap here: {said}")
    assert done.returncode == 0, said
