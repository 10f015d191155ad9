"""Further digests of an image agree with the real sha384sum and sha512sum."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ceremony.digesting import ALGORITHMS, FurtherDigest, further_digests

IMAGE = bytes(range(256)) * 1000


def test_the_real_tools_agree(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(IMAGE)
    found = dict(further_digests(IMAGE[:1000], memoryview(IMAGE)[1000:]))
    assert tuple(found) == ALGORITHMS
    for algorithm, digest in found.items():
        command: list[str | Path] = [f"{algorithm}sum", tmp_path / "image"]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        assert done.stdout.split()[0] == digest


def test_other_algorithms_are_not_computed() -> None:
    with pytest.raises(TypeError, match="md5 is none of"):
        FurtherDigest("md5")
