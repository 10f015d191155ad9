from __future__ import annotations

import hashlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from marks import accepts, refuses

from ceremony.effects import Output
from ceremony.errors import MediaTrouble, Refused
from ceremony.events import FORMAT, Begun, ClockRead, OutputFile
from ceremony.ingest.reading import CHUNK
from ceremony.ports import Progress
from ceremony.types import Mode
from transcripts import store
from transcripts.canon import MOST_LINE
from transcripts.log import Line, Stamp, link, read_log
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


def refused_rule(folder: Path) -> str:
    with pytest.raises(Refused) as refused:
        journal(folder).recover()
    return refused.value.findings[0].rule


@refuses("TRN-LOG")
@pytest.mark.parametrize("dangling", [True, False])
def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path, dangling: bool) -> None:  # noqa: FBT001 - pytest's
    (tmp_path / "a").mkdir()
    if not dangling:
        (tmp_path / "target").write_bytes(b"torn")
    (tmp_path / "a/transcript.jsonl").symlink_to(tmp_path / "target")
    assert refused_rule(tmp_path) == "TRN-LOG"
    assert (tmp_path / "target").exists() is not dangling
    assert dangling or (tmp_path / "target").read_bytes() == b"torn"


@refuses("TRN-LOG")
def test_a_log_with_a_second_name_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "victim").write_bytes(b"somebody's file without a newline")
    (tmp_path / "a/transcript.jsonl").hardlink_to(tmp_path / "victim")
    assert refused_rule(tmp_path) == "TRN-LOG"
    assert (tmp_path / "victim").read_bytes() == b"somebody's file without a newline"


@refuses("TRN-LOG")
def test_a_log_that_is_a_pipe_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b/transcript.jsonl")
    assert refused_rule(tmp_path) == "TRN-LOG"


@refuses("TRN-LOG")
def test_two_logs_in_one_folder(tmp_path: Path) -> None:
    made = FileJournal((tmp_path / "a", tmp_path / "a"), lambda: Stamp(0, "boot", "w"))
    with pytest.raises(Refused, match="TRN-LOG"):
        made.recover()


@refuses("TRN-LINE")
def test_a_log_of_a_tebibyte_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/transcript.jsonl").touch()
    os.truncate(tmp_path / "a/transcript.jsonl", 2**40)
    assert refused_rule(tmp_path) == "TRN-LINE"


@refuses("TRN-FORK")
def test_a_log_that_is_two_lines_behind_was_no_crash(tmp_path: Path) -> None:
    written(tmp_path, 4)
    first, second = files(tmp_path)
    whole = first.read_bytes()
    lines = whole.splitlines(keepends=True)
    for kept in (b"".join(lines[:2]), b"".join(lines[:2]) + b"torn", b"torn"):
        second.write_bytes(kept)
        assert refused_rule(tmp_path) == "TRN-FORK"
        assert (first.read_bytes(), second.read_bytes()) == (whole, kept)
    assert [p.name for p in second.parent.iterdir()] == ["transcript.jsonl"]


@accepts("TRN-FORK")
def test_an_empty_log_is_filled_whole_or_not_at_all(tmp_path: Path) -> None:
    written(tmp_path, 4)
    first, second = files(tmp_path)
    second.write_bytes(b"")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (first.stat().st_size - 1, before[1]))
    try:
        with pytest.raises(MediaTrouble, match="TRN-WRITE"):
            journal(tmp_path).recover()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert second.read_bytes() == b""
    again = journal(tmp_path)
    _, recovered = again.recover()
    assert recovered is not None
    assert recovered.repaired == ("b: 4 lines",)
    again.append(ClockRead("2026-11-22T00:00:09Z"))
    assert again.transcript() == first.read_bytes() == second.read_bytes()


@refuses("TRN-WRITE")
def test_a_line_that_no_reader_takes_is_not_written(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made.recover()
    made.append(BEGUN)
    before = [path.read_bytes() for path in files(tmp_path)]
    with pytest.raises(MediaTrouble, match="TRN-WRITE"):
        made.append(ClockRead("x" * MOST_LINE))
    assert [path.read_bytes() for path in files(tmp_path)] == before
    made.append(ClockRead("2026-11-22T00:00:00Z"))
    assert read_log(made.transcript()).fault is None


@refuses("TRN-WRITE")
def test_a_log_does_not_outgrow_what_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = journal(tmp_path)
    made.recover()
    made.append(BEGUN)
    size = files(tmp_path)[0].stat().st_size
    monkeypatch.setattr(store, "MOST_LOG", size + 50)
    with pytest.raises(MediaTrouble, match="TRN-WRITE"):
        made.append(ClockRead("2026-11-22T00:00:00Z"))
    assert files(tmp_path)[0].stat().st_size == size


def test_a_link_in_the_place_of_a_part_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"untouched")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("checkpoint.txt", "anchor.p7"):
        (out / f"{name}.part").symlink_to(tmp_path / "victim")
    (out / "other.part").hardlink_to(tmp_path / "victim")
    write_file(out / "checkpoint.txt", (b"checkpoint",))
    BundleFolder(out, ()).write((output("anchor.p7"), output("other")), lambda _: None)
    assert (tmp_path / "victim").read_bytes() == b"untouched"
    assert sorted(p.name for p in out.iterdir()) == ["anchor.p7", "checkpoint.txt", "other"]
    assert not any(p.is_symlink() for p in out.iterdir())


def test_the_torn_evidence_is_not_written_through_a_link(tmp_path: Path) -> None:
    written(tmp_path)
    first, second = files(tmp_path)
    whole = first.read_bytes()
    second.write_bytes(whole[:-10])
    torn = whole[:-10].rpartition(b"\n")[2]
    name = f"transcript.jsonl.torn-{hashlib.sha256(torn).hexdigest()[:16]}"
    (tmp_path / "victim").write_bytes(b"untouched")
    for there in (name, f"{name}.part"):
        (second.parent / there).symlink_to(tmp_path / "victim")
    journal(tmp_path).recover()
    assert (tmp_path / "victim").read_bytes() == b"untouched"
    assert (second.parent / name).read_bytes() == torn
    assert not (second.parent / name).is_symlink()


def test_a_file_stands_whole_or_not_at_all(tmp_path: Path) -> None:
    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "x", breaks())
    assert list(tmp_path.iterdir()) == []
    write_file(tmp_path / "x", (b"whole",))
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def output(name: str) -> Output:
    return Output(OutputFile(name, 4, ""), lambda: iter([b"data"]))


@refuses("MED-WRITE")
def test_a_folder_in_the_bundle_that_is_a_link_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.sig").write_bytes(b"untouched")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/in").symlink_to(tmp_path / "elsewhere")
    bundle = BundleFolder(tmp_path / "out", ())
    with pytest.raises(MediaTrouble, match="MED-WRITE"):
        bundle.write((output("first"), output("in/a.sig")), lambda _: None)
    with pytest.raises(MediaTrouble, match="MED-WRITE"):
        bundle.withdraw(("in/a.sig",))
    assert [p.name for p in (tmp_path / "elsewhere").iterdir()] == ["a.sig"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["in"]


@refuses("MED-WRITE")
@pytest.mark.parametrize("name", ["../x", "in/../../x", "/x", "", "."])
def test_an_output_stays_within_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaTrouble, match="MED-WRITE"):
        BundleFolder(tmp_path / "out", ()).withdraw((name,))


def test_reading_back_says_how_much_there_is_to_read(tmp_path: Path) -> None:
    size = CHUNK + 1
    large = Output(OutputFile("large", size, ""), lambda: iter([bytes(size)]))
    told: list[object] = []
    BundleFolder(tmp_path / "out", ()).write((large,), told.append)
    read = [p for p in told if isinstance(p, Progress) and p.what == "reading back large"]
    assert [(p.done, p.total) for p in read] == [(size - 1, size), (size, size)]


@accepts("MED-WRITE")
def test_outputs_of_an_earlier_try_are_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = BundleFolder(out, ())
    first.write((output("anchor.signed.efi"), output("in/a.sig")), lambda _: None)
    (out / "in/b.sig.part").write_bytes(b"half")
    earlier = ("anchor.signed.efi", "in/a.sig", "in/b.sig", "in/never/c.sig")
    BundleFolder(out, (), earlier).write((output("in/a.sig"),), lambda _: None)
    assert [str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()] == ["in/a.sig"]
    first.withdraw(("in/a.sig", "never"))
    assert not [p for p in out.rglob("*") if p.is_file()]


@accepts("MED-OUTPUT")
def test_an_output_folder_with_our_own_files_alone(tmp_path: Path) -> None:
    bundle = BundleFolder(tmp_path / "out", ())
    bundle.require_own(())
    bundle.write((output("anchor.efi"), output("in/a.sig")), lambda _: None)
    own = ("transcript.jsonl", "checkpoint.txt", "SHA256SUMS", "checkpoint.bob.sshsig")
    for name in (*own, "SHA256SUMS.part", "anchor.p7.part"):
        (tmp_path / "out" / name).write_bytes(b"")
    bundle.require_own(("anchor.efi", "in/a.sig", "anchor.p7"))


@refuses("MED-OUTPUT")
@pytest.mark.parametrize("name", ["virus.efi", "in/b.sig", "in/checkpoint.bob.sshsig", "link"])
def test_an_output_folder_with_a_stranger_s_file(tmp_path: Path, name: str) -> None:
    bundle = BundleFolder(tmp_path / "out", ())
    bundle.write((output("in/a.sig"),), lambda _: None)
    if name == "link":
        (tmp_path / "out" / name).symlink_to("in/a.sig")
    else:
        (tmp_path / "out" / name).write_bytes(b"")
    with pytest.raises(Refused, match="MED-OUTPUT"):
        bundle.require_own(("in/a.sig",))


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
