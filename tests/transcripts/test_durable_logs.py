"""Logs that lie, leave or fail: one vector for each defect that was found."""

from __future__ import annotations

import ast
import os
import shutil
from itertools import count
from pathlib import Path

import pytest
from marks import accepts, refuses

import transcripts
import tui
from ceremony.errors import MediaTrouble, Refused
from ceremony.events import FORMAT, Begun, ClockRead
from ceremony.types import Mode
from transcripts.files import make_folder
from transcripts.log import Stamp
from transcripts.store import FileJournal

BEGUN = Begun(
    FORMAT, "ab" * 16, Mode.REHEARSAL, "1", ("open",), "t", "0" * 64, "3", ("a", "b"), None
)
NOON = ClockRead("2026-11-22T12:00:00Z")


def journal(folder: Path) -> FileJournal:
    clock = count()
    return FileJournal((folder / "a", folder / "b"), lambda: Stamp(next(clock), "boot", "w"))


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    """Return two logs that hold three lines."""
    made = journal(tmp_path)
    made.recover()
    for event in (BEGUN, NOON, NOON):
        made.append(event)
    made.close()
    return tmp_path / "a/transcript.jsonl", tmp_path / "b/transcript.jsonl"


def damage(log: Path) -> bytes:
    """Let the last line's first page be lost, as a medium that writes out of order does."""
    *before, last = log.read_bytes().splitlines(keepends=True)
    damaged = bytes(len(last) - 9) + last[-9:]
    log.write_bytes(b"".join(before) + damaged)
    return damaged


@accepts("TRN-FORK")
@pytest.mark.parametrize("place", [0, 1])
def test_a_last_line_whose_first_page_was_lost_is_kept_and_written_again(
    tmp_path: Path, logs: tuple[Path, Path], place: int
) -> None:
    whole = logs[0].read_bytes()
    damaged = damage(logs[place])
    _, recovered = journal(tmp_path).recover()
    assert recovered is not None
    assert recovered.repaired == (f"{'ab'[place]}: 1 lines",)
    assert logs[0].read_bytes() == logs[1].read_bytes() == whole
    (kept,) = logs[place].parent.glob("*.torn-*")
    assert kept.read_bytes() == damaged


@refuses("TRN-LINE")
def test_a_last_line_that_is_damaged_on_both_logs_is_no_crash(
    tmp_path: Path, logs: tuple[Path, Path]
) -> None:
    for log in logs:
        damage(log)
    before = [log.read_bytes() for log in logs]
    with pytest.raises(Refused, match="TRN-LINE"):
        journal(tmp_path).recover()
    assert [log.read_bytes() for log in logs] == before


@refuses("TRN-WRITE")
@pytest.mark.parametrize("gone", ["a", "b"])
def test_a_log_whose_folder_was_removed_takes_no_line_unnoticed(
    tmp_path: Path, logs: tuple[Path, Path], gone: str
) -> None:
    made = journal(tmp_path)
    made.recover()
    shutil.rmtree(tmp_path / gone)
    with pytest.raises(MediaTrouble, match="TRN-WRITE"):
        made.append(NOON)


@refuses("TRN-WRITE")
def test_a_log_whose_name_leads_to_another_medium_takes_no_line_unnoticed(
    tmp_path: Path, logs: tuple[Path, Path]
) -> None:
    made = journal(tmp_path)
    made.recover()
    (tmp_path / "b").rename(tmp_path / "pulled")
    shutil.copytree(tmp_path / "pulled", tmp_path / "b")
    with pytest.raises(MediaTrouble, match="another file"):
        made.append(NOON)


@refuses("TRN-WRITE")
def test_behind_a_line_that_failed_no_other_line_is_written(
    tmp_path: Path, logs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = journal(tmp_path)
    made.recover()
    write = os.write
    with monkeypatch.context() as patched:

        def half(file: int, data: bytes) -> int:
            write(file, data[:20])
            raise OSError(28, "No space left on device")

        patched.setattr(os, "write", half)
        with pytest.raises(MediaTrouble, match="No space left"):
            made.append(NOON)
    torn = logs[0].read_bytes()
    with pytest.raises(MediaTrouble, match="No space left"):
        made.append(NOON)
    assert logs[0].read_bytes() == torn
    log, recovered = journal(tmp_path).recover()
    assert len(log.lines) == 3
    assert recovered is not None
    assert len(recovered.torn) == 1


@refuses("TRN-WRITE")
def test_lines_that_only_memory_holds_are_made_durable_before_they_are_believed(
    tmp_path: Path, logs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(file: int) -> None:
        if Path(f"/proc/self/fd/{file}").readlink().suffix == ".jsonl":
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(MediaTrouble, match="Input/output error"):
        journal(tmp_path).recover()


@accepts("TRN-WRITE")
def test_a_folder_that_is_made_is_durable_in_the_folder_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def watched(file: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", watched)
    make_folder(tmp_path / "one/two")
    assert synced == [str(tmp_path), str(tmp_path / "one")]


CHANGES = {
    *("open", "write", "pwrite", "writev", "fsync", "fdatasync", "rename", "replace", "link"),
    *("symlink", "unlink", "remove", "mkdir", "makedirs", "rmdir", "truncate", "ftruncate"),
    *("write_text", "write_bytes", "touch", "hardlink_to", "symlink_to", "rmtree", "copy"),
    *("copyfile", "copytree", "move", "mkstemp", "NamedTemporaryFile", "TemporaryFile"),
}
COMMON = {"replace", "copy", "remove", "link", "write"}  # also the names of harmless methods
WRITERS = {"files.py"}
READS = {"auditor.py": {"open"}, "outputs.py": {"open"}}  # os.open(path, os.O_RDONLY ...)


def changes_in(path: Path) -> set[str]:
    """Return the names of calls in a module that change a medium (str.replace is not one)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in CHANGES:
                of_os = isinstance(called.value, ast.Name) and called.value.id in ("os", "shutil")
                if of_os or called.attr not in COMMON:
                    found.add(called.attr)
            elif isinstance(called, ast.Name) and called.id == "open":
                found.add("open")
    return found


def test_one_module_changes_the_media_of_a_ceremony() -> None:
    room, face = Path(str(transcripts.__file__)).parent, Path(str(tui.__file__)).parent
    modules = [*room.glob("*.py"), face / "publishing.py", face / "wiring.py"]
    writing = {path.name: changes_in(path) - READS.get(path.name, set()) for path in modules}
    assert {name for name, calls in writing.items() if calls} == WRITERS
