"""What is shipped: one wheel, the same bytes each time, everything in it; locked dependencies."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ceremony", "hsm", "transcripts", "tui")
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
LOCKS = ("runtime", "build", "dev", "sigstore")
UNSHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


def copied(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=UNSHIPPED)
    for name in ("pyproject.toml", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def built(tree: Path, out: Path, **environment: str) -> Path:
    out.mkdir()
    command = [sys.executable, "-I", "-c", BUILD, str(out)]
    subprocess.run(
        command, cwd=tree, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL
    )
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    return built(copied(tree), folder / "out")


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="ascii")
    return dict(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", text))


def test_a_second_build_elsewhere_gives_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    tree = tmp_path / "another place"
    tree.mkdir()
    for path in copied(tree).rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o755 if path.is_dir() else 0o600)
    again = built(tree, tmp_path / "out", TZ="Asia/Tokyo", LANG="C")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_every_file_of_the_four_rooms_and_nothing_else(wheel: Path) -> None:
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not {"__pycache__", "golden"} & set(path.parts)
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == wanted


def test_the_wheel_carries_the_licence_and_its_console_scripts(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith("/licenses/LICENSE"))
        (scripts,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert b"Apache License" in archive.read(licence)
        text = archive.read(scripts).decode("ascii")
    assert text.splitlines() == [
        "[console_scripts]",
        "uki-ceremony = tui.entry:main",
        *(f"uki-{name} = tui.entry:{name}" for name in ("sbattach", "sbsign", "sbverify")),
    ]


def test_these_tests_run_against_the_installed_wheel() -> None:
    command = [sys.executable, "-I", "-c", "import ceremony; print(ceremony.__file__)"]
    where = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    assert Path(where).is_relative_to(sys.prefix)
    assert Path(where).parent.parent != ROOT


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_distribution_has_hashes_and_no_source_is_named(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="ascii")
    blocks = re.split(r"(?m)^(?=[a-z])", re.sub(r"(?m)^#.*\n", "", text))
    assert len(blocks) > 1
    for block in filter(None, blocks):
        assert re.fullmatch(
            r"[a-z0-9._-]+==\S+( ; [^\\\n]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", block
        ), block


def test_the_locks_cover_what_the_project_declares_and_agree_with_each_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = {
        "runtime": project["project"]["dependencies"],
        "build": project["build-system"]["requires"],
        "dev": project["dependency-groups"]["dev"],
    }
    for lock, requirements in declared.items():
        names = {re.split(r"[<>=!~ ]", requirement)[0] for requirement in requirements}
        assert names <= pins(lock).keys()
    assert pins("runtime").items() <= pins("dev").items()
    assert pins("build").items() <= pins("dev").items()
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]


def test_continuous_integration_runs_the_test_command_and_nothing_else() -> None:
    path = ROOT / ".ci" / "run"
    lines = path.read_text(encoding="ascii").splitlines()
    assert os.access(path, os.X_OK)
    assert lines[0] == "#!/usr/bin/env bash"
    assert [line for line in lines[1:] if not line.startswith("#")] == [
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."',
        "make test",
    ]
