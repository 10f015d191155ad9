"""Further digests of an image agree with the real sha384sum and sha512sum."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ceremony.digesting import ALGORITHMS, further_digest

IMAGE = bytes(range(256)) * 1000


def test_the_real_tools_agree(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(IMAGE)
    pieces = (IMAGE[:1000], memoryview(IMAGE)[1000:])
    found = dict(further_digest(algorithm, *pieces) for algorithm in ALGORITHMS)
    for algorithm, digest in found.items():
        command: list[str | Path] = [f"{algorithm}sum", tmp_path / "image"]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        assert done.stdout.split()[0] == digest


def test_other_algorithms_are_not_computed() -> None:
    with pytest.raises(TypeError, match="md5 is none of"):
        further_digest("md5", IMAGE)
