"""Media that are really full: small file systems of memory, filled to the last block."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from durability import aftermath
from durability.aftermath import State
from marks import refuses

from ceremony.events import Event
from hsm.soft import RehearsalToken
from transcripts.checkpoint import Head
from tui.commands import Exit

Mount = Callable[[str, str], Path]


@pytest.fixture
def mount(base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    """Return how to put a file system of a size on a medium's folder, or change its size."""
    monkeypatch.chdir(base)
    monkeypatch.setattr(RehearsalToken, "sign", RehearsalToken.sign)
    aftermath.remember_signatures()
    mounted: list[Path] = []

    def mounting(medium: str, size: str) -> Path:
        path = base / "r" / medium
        path.mkdir(exist_ok=True)
        options = f"size={size}" if path not in mounted else f"remount,size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "permission denied" in done.stderr or "superuser" in done.stderr:
            pytest.skip(f"mount: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted.append(path)
        return path

    yield mounting
    for path in set(mounted):
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(folder: Path) -> None:
    """Fill a file system to the last block."""
    with (folder / "ballast.part").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(2**16)):
            pass


def filling(monkeypatch: pytest.MonkeyPatch, folder: Path, after: str) -> None:
    """Fill `folder` once the event of this name was recorded."""
    recorded = aftermath.Team.recorded

    def recording(team: aftermath.Team, event: Event, head: Head) -> None:
        recorded(team, event, head)
        if event.name == after and not (folder / "ballast.part").exists():
            fill(folder)

    monkeypatch.setattr(aftermath.Team, "recorded", recording)


@refuses("TRN-WRITE")
@pytest.mark.parametrize("blocks", [1, 2, 3, 5, 8])
def test_a_log_medium_of_few_blocks(mount: Mount, blocks: int) -> None:
    mount("log-b", f"{blocks * 4}k")
    status, said = aftermath.hold()
    assert status is Exit.TROUBLE
    assert "TRN-WRITE" in said
    assert "No space left on device" in said
    assert "Resume with" in said
    assert not aftermath.MEMORY.exists()
    mount("log-b", "16m")
    assert aftermath.resumed() in ("resumed", "nothing was recorded: begun anew")


@refuses("TRN-WRITE")
@pytest.mark.parametrize(
    "after", ["sign.preflight", "sign.login_verdict", "sign.intent", "sign.result", "seal.verdict"]
)
@pytest.mark.parametrize("medium", ["log-a", "log-b"])
def test_a_log_medium_that_is_filled_after_the_room_was_measured(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, medium: str, after: str
) -> None:
    folder = mount(medium, "16m")
    with monkeypatch.context() as patched:
        filling(patched, folder, after)
        status, said = aftermath.hold()
    assert status is Exit.TROUBLE
    assert "TRN-WRITE" in said
    (folder / "ballast.part").unlink()
    assert aftermath.resumed() in ("resumed", "was closed: published again")


@refuses("MED-WRITE")
def test_an_output_medium_that_is_filled_after_the_room_was_measured(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mount("out", "16m")
    with monkeypatch.context() as patched:
        filling(patched, folder, "sign.result")
        status, said = aftermath.hold()
    assert status is Exit.INCOMPLETE
    assert "Resume with" in said
    assert list(State.read().outputs) == ["ballast.part"]
    (folder / "ballast.part").unlink()
    assert aftermath.resumed() == "resumed"


@refuses("MED-SPACE")
def test_an_output_medium_that_is_full_before_the_signature(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mount("out", "16m")
    with monkeypatch.context() as patched:
        filling(patched, folder, "judge.verdict")
        status, said = aftermath.hold()
    assert not aftermath.MEMORY.exists(), "signed although there is no room"
    assert status in (Exit.TROUBLE, Exit.INCOMPLETE), said
