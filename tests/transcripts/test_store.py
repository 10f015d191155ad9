from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from marks import accepts, refuses

from ceremony.effects import Output
from ceremony.errors import MediaTrouble, Refused
from ceremony.events import FORMAT, Begun, ClockRead, OutputFile
from ceremony.types import Mode
from transcripts.log import Stamp, read_log
from transcripts.store import BundleFolder, FileJournal, write_file

BEGUN = Begun(
    FORMAT, "ab" * 16, Mode.REHEARSAL, "1", ("open",), "t", "0" * 64, "3", ("a", "b"), None
)


def journal(folder: Path) -> FileJournal:
    clock = iter(range(10**6))
    return FileJournal((folder / "a", folder / "b"), lambda: Stamp(next(clock), "boot", "w"))


def written(folder: Path, lines: int = 3) -> FileJournal:
    made = journal(folder)
    made.recover()
    made.append(BEGUN)
    for number in range(1, lines):
        made.append(ClockRead(f"2026-11-22T00:00:{number:02d}Z"))
    made.close()
    return made


def files(folder: Path) -> tuple[Path, Path]:
    return folder / "a/transcript.jsonl", folder / "b/transcript.jsonl"


@accepts("TRN-FORK", "TRN-WRITE", "TRN-CHAIN", "TRN-CEREMONY", "TRN-TIME", "TRN-EVENT")
def test_two_logs_hold_the_same_lines(tmp_path: Path) -> None:
    head = written(tmp_path).head
    first, second = files(tmp_path)
    assert first.read_bytes() == second.read_bytes()
    log = read_log(first.read_bytes())
    assert (log.fault, log.torn, len(log.lines)) == (None, b"", 3)
    assert (head.origin, head.count) == (f"uki-ceremony/{'ab' * 16}/rehearsal", 3)


def test_what_was_written_is_taken_up_again(tmp_path: Path) -> None:
    head = written(tmp_path).head
    again = journal(tmp_path)
    log, recovered = again.recover()
    assert again.head == head
    assert recovered is not None
    assert (recovered.lines, recovered.torn, recovered.repaired) == (3, (), ())
    assert len(log.lines) == 3


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_line_on_one_log_is_set_aside_and_the_log_repaired(tmp_path: Path, cut: int) -> None:
    written(tmp_path)
    first, second = files(tmp_path)
    whole = first.read_bytes()
    second.write_bytes(whole[:-cut])
    _, recovered = journal(tmp_path).recover()
    assert recovered is not None
    assert recovered.repaired == ("b: 1 lines",)
    assert second.read_bytes() == whole
    (torn,) = second.parent.glob("*.torn-*")
    assert recovered.torn[0].startswith(f"b: {torn.stat().st_size} bytes, sha256 ")


def test_a_log_that_is_gone_is_written_anew_from_the_other(tmp_path: Path) -> None:
    written(tmp_path)
    first, second = files(tmp_path)
    second.unlink()
    journal(tmp_path).recover()
    assert first.read_bytes() == second.read_bytes()


@refuses("TRN-FORK")
def test_two_logs_that_differ_are_kept_and_refused(tmp_path: Path) -> None:
    written(tmp_path / "one", 3)
    written(tmp_path / "two", 4)
    first, second = files(tmp_path / "one")
    other = (tmp_path / "two/a/transcript.jsonl").read_bytes().splitlines(keepends=True)
    changed = journal(tmp_path / "three")
    changed.recover()
    changed.append(BEGUN)
    changed.append(ClockRead("2030-01-01T00:00:00Z"))
    changed.close()
    second.write_bytes((tmp_path / "three/a/transcript.jsonl").read_bytes())
    before = (first.read_bytes(), second.read_bytes())
    with pytest.raises(Refused) as refused:
        journal(tmp_path / "one").recover()
    assert refused.value.findings[0].rule == "TRN-FORK"
    assert (first.read_bytes(), second.read_bytes()) == before
    assert len(other) == 4


@refuses("TRN-LINE", "TRN-CHAIN")
@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda lines: [lines[0], b"{}\n", lines[2]], "TRN-EVENT"),
        (lambda lines: [lines[0], b"garbage\n", lines[2]], "TRN-LINE"),
        (lambda lines: [lines[0], lines[2]], "TRN-CHAIN"),
        (lambda lines: [lines[1], lines[2]], "TRN-CHAIN"),
        (lambda lines: [lines[0], lines[2], lines[1]], "TRN-CHAIN"),
        (lambda lines: [lines[0], lines[0], lines[1]], "TRN-CHAIN"),
    ],
    ids=["empty", "garbage", "missing", "first-missing", "swapped", "doubled"],
)
def test_a_damaged_log_is_not_resumed(
    tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]], rule: str
) -> None:
    written(tmp_path)
    first, _ = files(tmp_path)
    first.write_bytes(b"".join(damage(first.read_bytes().splitlines(keepends=True))))
    with pytest.raises(Refused) as refused:
        journal(tmp_path).recover()
    assert refused.value.findings[0].rule == rule


@refuses("TRN-TIME", "TRN-CEREMONY")
@pytest.mark.parametrize("rule", ["TRN-TIME", "TRN-CEREMONY"])
def test_a_well_chained_line_of_another_time_or_ceremony(tmp_path: Path, rule: str) -> None:
    from dataclasses import replace  # noqa: PLC0415 - only here

    from transcripts.log import Line, link  # noqa: PLC0415

    written(tmp_path, 2)
    first, _ = files(tmp_path)
    log = read_log(first.read_bytes())
    last = log.lines[-1]
    good = Line(last.ceremony, 2, link(log.raw[-1]), Stamp(9, "boot", "w"), last.event)
    assert read_log(first.read_bytes() + good.to_bytes() + b"\n").fault is None
    bad = {
        "TRN-TIME": replace(good, time=Stamp(0, "boot", "w")),
        "TRN-CEREMONY": replace(good, ceremony="cd" * 16),
    }[rule]
    fault = read_log(first.read_bytes() + bad.to_bytes() + b"\n").fault
    assert fault is not None
    assert fault.rule == rule


@refuses("TRN-WRITE")
def test_a_full_log_medium_is_trouble_and_the_torn_line_is_recovered(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made.recover()
    made.append(BEGUN)
    size = files(tmp_path)[0].stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, before[1]))
    try:
        with pytest.raises(MediaTrouble) as trouble:
            made.append(ClockRead("2026-11-22T00:00:00Z"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert trouble.value.rule == "TRN-WRITE"
    again = journal(tmp_path)
    log, recovered = again.recover()
    assert len(log.lines) == 1
    assert recovered is not None
    assert len(recovered.torn) == 1
    again.append(ClockRead("2026-11-22T00:00:01Z"))
    assert files(tmp_path)[0].read_bytes() == files(tmp_path)[1].read_bytes()


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "a/transcript.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(MediaTrouble):
        journal(tmp_path).recover()


def test_a_file_stands_whole_or_not_at_all(tmp_path: Path) -> None:
    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "x", breaks())
    assert list(tmp_path.iterdir()) == []
    write_file(tmp_path / "x", (b"whole",))
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@refuses("MED-OUTPUT")
def test_an_output_folder_that_is_not_empty(tmp_path: Path) -> None:
    bundle = BundleFolder(tmp_path / "out", ())
    bundle.require_empty()
    (tmp_path / "out").mkdir()
    bundle.require_empty()
    (tmp_path / "out/x").write_bytes(b"")
    with pytest.raises(Refused, match="MED-OUTPUT"):
        bundle.require_empty()


@refuses("MED-WRITE")
def test_outputs_that_do_not_fit_leave_nothing(tmp_path: Path) -> None:
    outputs = tuple(
        Output(OutputFile(name, 4096, ""), lambda: iter([bytes(4096)])) for name in ("one", "two")
    )
    bundle = BundleFolder(tmp_path / "out", ())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(MediaTrouble) as trouble:
            bundle.write(outputs, lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert trouble.value.rule == "MED-WRITE"
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert [f.name for f in bundle.write(outputs, lambda _: None)] == ["one", "two"]
