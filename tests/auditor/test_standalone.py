"""The auditor is one file for Python 3.9 and its standard library, and imports nothing else."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ceremony.words import EVEN, ODD

ROOT = Path(__file__).resolve().parents[2]
AUDITOR = ROOT / "transcripts" / "auditor.py"
GOLDEN = ROOT / "transcripts" / "golden"
KINDS = sorted(path.name for path in GOLDEN.iterdir())
# What the file may import: all of it stands in the standard library of Python 3.9.
MODULES = {
    "__future__", "argparse", "base64", "collections", "datetime", "errno", "hashlib", "json",
    "os", "re", "stat", "struct", "sys", "typing",
}  # fmt: skip


def expected(kind: str) -> dict[str, str]:
    lines = (GOLDEN / kind / "expect.txt").read_text("utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_the_one_file_audits_every_published_example(kind: str, tmp_path: Path) -> None:
    copy = tmp_path / "alone" / "auditor.py"
    copy.parent.mkdir()
    shutil.copy(AUDITOR, copy)
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", copy, "--json", GOLDEN / kind / "bundle"],
        cwd=copy.parent,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    expect = expected(kind)
    assert (found["verdict"], found["outcome"]) == (expect["verdict"], expect["outcome"])
    assert (str(found["events"]), " ".join(found["witnesses"])) == (
        expect["events"],
        expect.get("witnesses", ""),
    )


def test_python_39_runs_it() -> None:
    found = shutil.which("python3.9")
    # pyenv's shim of a version that is not there ends as a shell that finds no command.
    shim = found and subprocess.run([found, "-V"], check=False, capture_output=True).returncode
    if found is None or shim == 127:
        pytest.skip("python3.9 is not installed")
    for kind in KINDS:
        done = subprocess.run(
            [found, "-I", "-W", "error", AUDITOR, GOLDEN / kind / "bundle"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_it_is_python_39_and_imports_the_standard_library_only() -> None:
    tree = ast.parse(AUDITOR.read_bytes(), feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Match)
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module))
    assert imported <= MODULES


def test_its_words_are_the_words_that_people_are_shown() -> None:
    namespace: dict[str, object] = {"__name__": "auditor"}
    exec(compile(AUDITOR.read_bytes(), "auditor.py", "exec"), namespace)
    assert (namespace["EVEN_WORDS"], namespace["ODD_WORDS"]) == ([*EVEN], [*ODD])
