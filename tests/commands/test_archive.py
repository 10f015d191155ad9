"""replay ARCHIVE: one line a ceremony, the worst exit status, the chain of heads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from forging import rechained
from marks import accepts, refuses

from ceremony.ingest.reading import read_folder
from transcripts.archive import Record, check_chain
from transcripts.faults import Verdict
from tui.commands.dispatch import dispatch

GOLDEN = Path(__file__).resolve().parents[2] / "transcripts" / "golden"


def told(archive: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "tui", "replay", archive],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def copied(folder: Path, *kinds: str) -> Path:
    for place, kind in enumerate(kinds):
        shutil.copytree(GOLDEN / kind / "bundle", folder / f"{2020 + place}" / kind)
    return folder


def test_every_bundle_has_a_line_and_all_have_a_summary(tmp_path: Path) -> None:
    status, lines = told(copied(tmp_path, "happy", "aborted", "production"))
    assert status == 0
    assert [line.split()[:3] for line in lines[:3]] == [
        ["REPRODUCED", "ok", "rehearsal"],
        ["REPRODUCED", "aborted", "rehearsal"],
        ["REPRODUCED", "ok", "production"],
    ]
    assert [line.split()[-1] for line in lines[:3]] == [
        "2020/happy", "2021/aborted", "2022/production",
    ]  # fmt: skip
    assert lines[3:] == [
        "3 ceremonies: 3 REPRODUCED",
        "chain: 0 name the one before, 3 name none, 0 faults",
    ]


@refuses("TRN-BUNDLE", "TRN-PREVIOUS")
def test_the_worst_of_all_is_the_exit_status(tmp_path: Path) -> None:
    archive = copied(tmp_path, "happy", "chained", "misheard")
    status, lines = told(archive)
    assert status == 4  # the ceremony before is not here
    assert any("TRN-PREVIOUS" in line and "not here" in line for line in lines)
    (archive / "2022/misheard/anchor.p7").write_bytes(b"another")
    (archive / "2023").mkdir()
    (archive / "2023/transcript.jsonl").write_bytes(b"\x00" * 1000 + b"\n")
    (archive / "2024").mkdir()
    (archive / "2024/SHA256SUMS").symlink_to("/etc/hostname")
    status, lines = told(archive)
    assert status == 1
    assert [line.split()[0] for line in lines[:5]] == [
        "REPRODUCED", "REPRODUCED", "DIFFERS", "FORGED", "DIFFERS",
    ]  # fmt: skip
    assert "event 1" in lines[3]


def test_what_is_for_one_bundle_is_refused_for_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = str(copied(tmp_path, "happy"))
    for words in (["--json"], ["--prove", "1"], ["--consistent-with", "1:x"]):
        assert dispatch(["replay", archive, *words]) == 1
    assert "name one of them" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert dispatch(["replay", str(tmp_path / "empty")]) == 4


def record(name: str, head: str, previous: str = "", **changes: object) -> Record:
    made = Record(
        name, Verdict.REPRODUCED, "ok", "production", name, 43, head, previous,
        judged=True, text="",
    )  # fmt: skip
    return Record(**{f: getattr(made, f) for f in Record.__slots__} | changes)


@accepts("TRN-PREVIOUS")
def test_a_chain_with_a_copy_and_a_ceremony_that_ended_early_holds() -> None:
    chain = [record("a", "A"), record("b", "B", "A"), record("c", "C", "B")]
    chain += [record("b", "B", "A"), record("early", "E", "B", judged=False)]
    assert check_chain(chain) == ()


@refuses("TRN-PREVIOUS", "TRN-CEREMONY")
def test_gaps_forks_and_two_records_of_one_ceremony_are_named() -> None:
    (gap,) = check_chain([record("a", "A"), record("c", "C", "B")])
    assert (gap.severity, gap.text) == ("warn", "c follows B, which is not here")
    (fork,) = check_chain([record("a", "A"), record("b", "B", "A"), record("c", "C", "A")])
    assert (fork.severity, fork.text) == ("refuse", "b, c all follow A")
    double = [record("x", "A", ceremony="1"), record("y", "B", ceremony="1")]
    (found,) = check_chain(double)
    assert (found.rule, found.text) == ("TRN-CEREMONY", "x, y tell one ceremony differently")


@accepts("TRN-PREVIOUS")
def test_other_policies_rehearsals_and_early_ends_start_no_second_chain() -> None:
    chain = [record("a", "A", policy="one"), record("b", "B", "A", policy="one")]
    chain += [record("copy", "A", policy="one", ceremony="a"), record("other", "O", policy="two")]
    chain += [record(f"r{n}", f"R{n}", policy="one", mode="rehearsal") for n in range(3)]
    chain += [record("early", "E", policy="one", judged=False)]
    assert check_chain(chain) == ()


@refuses("TRN-PREVIOUS")
def test_several_ceremonies_of_one_policy_that_claim_to_be_the_first_are_named() -> None:
    chain = [record(name, name.upper(), policy="one") for name in "abc"]
    (firsts,) = check_chain([*chain, record("d", "D", "A", policy="one")])
    assert (firsts.rule, firsts.severity) == ("TRN-PREVIOUS", "warn")
    assert firsts.text == "a, b, c name no ceremony before them, all under one"


def renamed(values: list[dict[str, Any]]) -> None:
    values[0]["body"]["ceremony"] = "0" * 32
    for value in values:
        value["ceremony"] = "0" * 32


@refuses("TRN-PREVIOUS")
def test_two_production_bundles_that_name_no_ceremony_before_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = copied(tmp_path, "production")
    files = read_folder(archive / "2020" / "production")
    again = rechained(files, renamed)  # not signed, but it claims the same place
    for name, data in again.items():
        path = archive / "2021" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert dispatch(["replay", str(archive)]) == 1
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "TRN-PREVIOUS" in line)
    assert line.startswith("warn")
    assert "2020/production, 2021 name no ceremony before them, all under rehearsal" in line


@refuses("TRN-FOLDER")
def test_a_linked_folder_is_named_and_never_silently_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = copied(tmp_path / "archive", "happy")
    (archive / "readme").symlink_to("/etc/hostname")  # a file is no ceremony
    assert dispatch(["replay", str(archive)]) == 0
    capsys.readouterr()
    shutil.copytree(GOLDEN / "refused_quorum" / "bundle", tmp_path / "elsewhere")
    for name, target in (("linked", tmp_path / "elsewhere"), ("gone", "no"), ("ring", "ring")):
        (archive / "2020" / name).symlink_to(target)
    assert dispatch(["replay", str(archive)]) == 4
    lines = capsys.readouterr().out.splitlines()
    said = [line for line in lines if line.startswith("warn   TRN-FOLDER: ")]
    assert [line.split()[2] for line in said] == ["2020/gone", "2020/linked", "2020/ring"]
    assert "1 ceremonies: 1 REPRODUCED" in lines
    (only := tmp_path / "only").mkdir()
    (only / "linked").symlink_to(tmp_path / "elsewhere")
    assert dispatch(["replay", str(only)]) == 4
    assert "TRN-FOLDER: linked is a link" in capsys.readouterr().out


def test_a_ceremony_below_the_depth_that_is_looked_into_is_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = copied(tmp_path / "archive", "happy")
    (deep := archive / "1/2/3/4/5/6").mkdir(parents=True)
    shutil.copytree(GOLDEN / "refused_quorum" / "bundle", deep / "seen")
    assert dispatch(["replay", str(archive)]) == 0
    assert "2 ceremonies" in capsys.readouterr().out
    (deep / "7").mkdir()
    (deep / "seen").rename(deep / "7" / "hidden")
    assert dispatch(["replay", str(archive)]) == 1
    assert "is nested deeper than 6 folders" in capsys.readouterr().err


def test_a_bundle_whose_lists_are_pipes_or_links_is_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = copied(tmp_path, "happy")
    (archive / "pipe").mkdir()
    os.mkfifo(archive / "pipe" / "transcript.jsonl")
    (archive / "link").mkdir()
    (archive / "link" / "SHA256SUMS").symlink_to("nowhere")
    assert dispatch(["replay", str(archive)]) == 1
    assert "3 ceremonies: 1 REPRODUCED, 2 DIFFERS" in capsys.readouterr().out


@refuses("TRN-CLOSE")
def test_a_bundle_of_which_the_checkpoint_alone_is_left_is_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = copied(tmp_path, "happy", "production")
    for name in ("transcript.jsonl", "SHA256SUMS"):
        (archive / "2021" / "production" / name).unlink()
    alone = dispatch(["replay", str(archive / "2021" / "production")])
    capsys.readouterr()
    assert dispatch(["replay", str(archive)]) == alone == 4
    assert "2 ceremonies: 1 REPRODUCED, 1 INCOMPLETE" in capsys.readouterr().out
