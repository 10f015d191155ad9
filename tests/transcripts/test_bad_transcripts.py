"""What is put before replay by somebody who wants another answer: a verdict, never a traceback."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from forging import Bundle, rechained, resummed
from marks import refuses

from ceremony.ingest.reading import read_folder
from transcripts.log import read_log
from transcripts.replay import Replayed, Verdict, replay
from tui.commands.dispatch import dispatch

GOLDEN = Path(__file__).resolve().parents[2] / "transcripts" / "golden"
HAPPY = read_folder(GOLDEN / "happy" / "bundle")
SMALL = read_folder(GOLDEN / "refused_policy" / "bundle")
LINES = HAPPY["transcript.jsonl"].splitlines(keepends=True)


def with_lines(*lines: bytes) -> Bundle:
    return resummed({**HAPPY, "transcript.jsonl": b"".join(lines)})


def rules(found: Replayed) -> set[str]:
    return {finding.rule for finding in found.findings}


@refuses("TRN-LINE")
def test_truncated_at_every_byte_of_a_small_transcript() -> None:
    whole = SMALL["transcript.jsonl"]
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    raw = tuple(whole.split(b"\n")[:-1])
    for size in range(len(whole)):
        log = read_log(whole[:size])
        count = sum(end <= size for end in ends)
        assert (log.raw, log.fault) == (raw[:count], None)
        assert log.torn == whole[ends[count - 1] if count else 0 : size]


@refuses("TRN-LINE", "TRN-CLOSE")
def test_a_transcript_that_ends_between_and_within_lines_is_incomplete() -> None:
    for count in range(len(LINES)):
        for torn in (b"", b"{", LINES[count][:-1]):
            found = replay({"transcript.jsonl": b"".join(LINES[:count]) + torn})
            assert found.verdict is Verdict.INCOMPLETE, (count, torn)
            assert found.first is None


@refuses("TRN-CHAIN")
@pytest.mark.parametrize("place", range(1, len(LINES)))
def test_a_line_dropped_doubled_or_exchanged_is_named(place: int) -> None:
    before, line, after = LINES[:place], LINES[place], LINES[place + 1 :]
    cases = [with_lines(*before, line, line, *after)]
    if after:
        cases += [
            with_lines(*before, *after),
            with_lines(*before, after[0], line, *after[1:]),
        ]
    for bundle in cases:
        found = replay(bundle)
        assert found.verdict is Verdict.FORGED
        assert found.first is not None
        assert found.first.rule == "TRN-CHAIN"
        assert found.first.line in (place, place + 1)


@refuses("TRN-CEREMONY", "TRN-CHAIN")
def test_a_line_of_another_ceremony_is_named() -> None:
    other = (GOLDEN / "misheard/bundle/transcript.jsonl").read_bytes().splitlines(keepends=True)
    found = replay(with_lines(*LINES[:5], other[5], *LINES[6:]))
    assert (found.verdict, found.first and found.first.line) == (Verdict.FORGED, 5)

    def spliced(values: list[dict[str, Any]]) -> None:
        values[5]["ceremony"] = json.loads(other[5])["ceremony"]

    found = replay(rechained(HAPPY, spliced))
    assert found.verdict is Verdict.FORGED
    assert found.first is not None
    assert (found.first.rule, found.first.line) == ("TRN-CEREMONY", 5)


@refuses("TRN-COUNTERSIGNATURE", "TRN-DECISION")
def test_a_rehearsal_relabelled_as_production() -> None:
    def relabelled(values: list[dict[str, Any]]) -> None:
        values[0]["body"]["mode"] = "production"

    found = replay(rechained(HAPPY, relabelled))
    assert found.verdict is Verdict.FORGED
    names = {"checkpoint.ed.sshsig", "checkpoint.ines.sshsig"}
    blamed = {f.text.partition(":")[0] for f in found.findings if "COUNTERSIG" in f.rule}
    assert found.first is not None
    assert found.first.rule == "TRN-DECISION"
    assert not blamed or blamed == names
    alone = replay(resummed({**HAPPY, "transcript.jsonl": HAPPY["transcript.jsonl"].replace(
        b'"mode":"rehearsal"', b'"mode":"production"', 1)}))  # fmt: skip
    assert alone.first is not None
    assert (alone.verdict, alone.first.line) == (Verdict.FORGED, 1)


@refuses("TRN-COUNTERSIGNATURE")
def test_a_head_signed_by_one_person_in_two_names() -> None:
    twice = {**HAPPY, "checkpoint.ed.sshsig": HAPPY["checkpoint.ines.sshsig"]}
    found = replay(resummed(twice))
    assert (found.verdict, found.witnesses) == (Verdict.FORGED, ("ines",))
    told = [f.text for f in found.findings if f.rule == "TRN-COUNTERSIGNATURE"]
    assert told[0] == "checkpoint.ed.sshsig: the key is ines's, not one of ed's"


@refuses("TRN-COUNTERSIGNATURE")
def test_a_signature_of_another_ceremonys_head_is_named() -> None:
    other = (GOLDEN / "misheard/bundle/checkpoint.ed.sshsig").read_bytes()
    found = replay(resummed({**HAPPY, "checkpoint.ed.sshsig": other}))
    assert found.verdict is Verdict.FORGED
    assert any(f.text.startswith("checkpoint.ed.sshsig: ") for f in found.findings)


NESTED = b'{"a":' * 39 + b"1" + b"}" * 39
BAD_LINES = {
    "nul": b"\x00",
    "nul within": LINES[3].replace(b"time", b"ti\x00e")[:-1],
    "escaped nul as a name": b'{"\\u0000":1}',
    "invalid utf-8": LINES[3][:-3] + b"\xff\xfe}",
    "surrogate": b'{"a":"\\ud800"}',
    "utf-16": LINES[3].decode().encode("utf-16"),
    "nested": NESTED,
    "nested too deep": b"[" * 41 + b"]" * 41,
    "nested a million deep": b"[" * 10**6,
    "a float": b'{"a":1.0}',
    "not a number": b'{"a":NaN}',
    "a number of a million digits": b'{"a":' + b"1" * 10**6 + b"}",
    "carriage return": LINES[3][:-1] + b"\r",
    "byte order mark": b"\xef\xbb\xbf" + LINES[3][:-1],
    "a space": LINES[3].replace(b'":', b'": ', 1)[:-1],
    "a member twice": b'{"a":1,"a":1}',
    "an array": b"[]",
    "empty": b"",
    "null": b"null",
}


@refuses("TRN-LINE", "TRN-EVENT")
@pytest.mark.parametrize("name", sorted(BAD_LINES))
def test_a_line_that_is_none_is_named_by_its_number(name: str) -> None:
    bad = BAD_LINES[name].replace(b"\n", b"") + b"\n"
    for place in (0, 3, len(LINES)):
        found = replay(with_lines(*LINES[:place], bad, *LINES[place + 1 :]))
        assert found.verdict is Verdict.FORGED
        assert found.first is not None
        assert (found.first.line, found.first.event) == (place, "")
        assert found.first.rule in ("TRN-LINE", "TRN-EVENT")


@refuses("TRN-LINE")
def test_a_line_of_a_gigabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    for name, data in HAPPY.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with (tmp_path / "transcript.jsonl").open("ab") as file:
        file.truncate(2**30 - 1)  # sparse: a line of zeros behind the good ones
    os.truncate(tmp_path / "transcript.jsonl", 2**30 - 1)
    command = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30));"
        "from tui.commands.dispatch import dispatch; sys.exit(dispatch(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", command, "replay", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "TRN-LINE" in done.stdout
    assert done.stdout.endswith("FORGED\n")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0


@pytest.mark.parametrize(("kind", "status"), [("happy", 0), ("cut", 4), ("dropped", 1)])
def test_the_exit_status_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, status: int
) -> None:
    lines = {"happy": LINES, "cut": LINES[:-1], "dropped": [*LINES[:3], *LINES[4:]]}[kind]
    bundle = with_lines(*lines)
    if kind == "cut":
        bundle = {"transcript.jsonl": b"".join(lines)}
    for name, data in bundle.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert dispatch(["replay", str(tmp_path)]) == status
    assert "BUG" not in capsys.readouterr().out
