"""One change in a published example, everything else mended: both implementations say the same.

Each is a defect that one of the two had, or a limit that the specification states.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from auditor import forging
from auditor.forging import Bundle, Value
from auditor.test_agreement import Desk

from ceremony.ingest.reading import read_folder
from transcripts.auditor import EVENTS, QUESTIONS, SHAPES

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "transcripts" / "golden"


def changed(files: Bundle, event: str, path: str, value: object) -> Bundle:
    """Return the bundle with one member of the first such event set, mended, unwitnessed."""
    values = forging.values_of(files)
    line: Value = next(line for line in values if line["event"] == event)
    inside: Any = line["body"]
    *outer, last = path.split(".")
    for part in outer:
        inside = inside[int(part) if part.isdigit() else part]
    assert inside[int(last) if last.isdigit() else last] != value
    inside[int(last) if last.isdigit() else last] = value
    rest = {n: d for n, d in files.items() if not re.fullmatch(r"checkpoint\..*\.sshsig", n)}
    return forging.relinked(rest, values, line)


CHANGES = {
    "a clock of 60 seconds": ("open.clock", "wall", "2026-01-01T00:00:60Z", "FORGED"),
    "a clock on no day": ("open.clock", "wall", "2026-02-30T00:00:00Z", "FORGED"),
    "a typed time of 60 seconds": ("open.clock_read", "answer", "2026-01-01 00:00:60", "FORGED"),
    "an answer with a space that is none": (
        "open.roles", "answer", "PRESENT\u00a0", "FORGED",
    ),
    "a previous head that is no digest": ("open.begin", "previous_head", "ab" * 31, "FORGED"),
    "an attestation that is not hex": (
        "sign.token", "evidence.attestation", ["zz"], "FORGED",
    ),
    "an attestation of half a byte": ("sign.token", "evidence.attestation", ["0"], "FORGED"),
    "a signature that is not hex": ("sign.result", "result.signature", "zz", "FORGED"),
    "a signature of other letters": ("sign.result", "result.signature", "AB" * 256, "FORGED"),
    "no signature where one was made": ("sign.result", "result.signature", "", "FORGED"),
    "nobody typed the PIN": ("sign.login", "persons", [], "FORGED"),
    "two typed a PIN that is whole": ("sign.login", "persons", ["kim", "kay"], "FORGED"),
    "no key holder typed the PIN": ("sign.login", "persons", ["ines"], "FORGED"),
    "a proof where nothing attests": (
        "sign.preflight", "facts.grade", "proved by attestation chain", "DIFFERS",
    ),
    "a device where nothing attests": (
        "sign.login_verdict", "facts.attestation.device", "YubiKey 5", "DIFFERS",
    ),
    "an image that is no digest": ("ingest.media", "image.sha256", "zz", "DIFFERS"),
}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


@pytest.fixture(scope="module")
def happy() -> Bundle:
    return read_folder(GOLDEN / "happy" / "bundle")


@pytest.mark.parametrize("name", CHANGES)
def test_one_member_of_another_value(name: str, happy: Bundle, desk: Desk) -> None:
    event, path, value, verdict = CHANGES[name]
    assert desk.both(changed(happy, event, path, value)) == (verdict, verdict)


def test_a_previous_head_that_people_were_not_shown(happy: Bundle, desk: Desk) -> None:
    """Nobody judges it; replay alone makes again what the people in the room read (TRN-SHOWN)."""
    given = changed(happy, "open.begin", "previous_head", "ab" * 32)
    assert desk.both(given) == ("DIFFERS", "INCOMPLETE")


def test_digits_of_another_script_are_no_time(happy: Bundle, desk: Desk) -> None:
    (told,) = (v["body"] for v in forging.values_of(happy) if v["event"] == "open.clock_read")
    arabic = told["answer"].translate({ord("0") + digit: 0x660 + digit for digit in range(10)})
    assert arabic != told["answer"]
    assert desk.both(changed(happy, "open.clock_read", "answer", arabic)) == ("FORGED", "FORGED")


@pytest.mark.parametrize("extra", ["", "stray bits"])
def test_base64_with_stray_padding_bits_is_no_file(extra: str, happy: Bundle, desk: Desk) -> None:
    (media,) = (v["body"] for v in forging.values_of(happy) if v["event"] == "ingest.media")
    place, blob = next(
        (place, blob)
        for place, blob in enumerate(media["files"])
        if len(blob["content"].encode()) % 3
    )
    text = base64.b64encode(blob["content"].encode()).decode("ascii")
    at = len(text.rstrip("=")) - 1
    stray = text[:at] + chr(ord(text[at]) + 1) + text[at + 1 :]
    assert base64.b64decode(stray) == base64.b64decode(text)
    content = stray if extra else text
    made = changed(
        happy, "ingest.media", f"files.{place}", {**blob, "encoding": "base64", "content": content}
    )
    # The same bytes in another spelling of the two that there are: the rest of it holds.
    verdict = "FORGED" if extra else "INCOMPLETE"
    assert desk.both(made) == (verdict, verdict)


@pytest.mark.parametrize("path", ["reason", "operators", "verdict"])
def test_an_override_says_who_and_why(path: str, desk: Desk) -> None:
    files = read_folder(GOLDEN / "dissent" / "bundle")
    values = {"reason": "nobody: it is fine", "operators": ["ed"], "verdict": "REFUSE"}
    made = changed(files, "judge.override_verdict", f"facts.{path}", values[path])
    assert desk.both(made) == ("DIFFERS", "DIFFERS")


def test_a_value_of_ecdsa_more_is_said(desk: Desk) -> None:
    files = read_folder(GOLDEN / "ecdsa" / "bundle")
    values = forging.values_of(files)
    (verdict,) = (v["body"] for v in values if v["event"] == "verify.verdict")
    kept = [f for f in verdict["findings"] if f["rule"] != "SIG-ATTEMPTS"]
    assert desk.both(changed(files, "verify.verdict", "findings", kept)) == ("DIFFERS", "DIFFERS")


@pytest.mark.parametrize("name", ["SHA256SUMS.part", "checkpoint.ed.sshsig.part"])
def test_what_a_late_countersigning_left(name: str, happy: Bundle, desk: Desk) -> None:
    assert desk.both({**happy, name: b"half"}) == ("INCOMPLETE", "INCOMPLETE")
    assert desk.both({**happy, "notes.part": b"half"}) == ("DIFFERS", "DIFFERS")


def test_a_countersignature_that_is_not_listed_yet(happy: Bundle, desk: Desk) -> None:
    without = {n: d for n, d in happy.items() if n != "checkpoint.ed.sshsig"}
    sums = forging.resummed(without)["SHA256SUMS"]
    assert desk.both({**happy, "SHA256SUMS": sums}) == ("INCOMPLETE", "INCOMPLETE")
    forged = {**happy, "SHA256SUMS": sums, "checkpoint.ed.sshsig": happy["checkpoint.ines.sshsig"]}
    assert desk.both(forged) == ("FORGED", "FORGED")


@pytest.mark.parametrize("member", ["ruleset", "format"])
def test_of_an_unknown_rule_set_nothing_else_is_read(
    member: str, happy: Bundle, desk: Desk
) -> None:
    made = changed(happy, "open.begin", member, "2")
    lines = made["transcript.jsonl"].split(b"\n", 1)[0] + b"\nwhat a later program writes\n"
    assert desk.both(forging.resummed({**made, "transcript.jsonl": lines})) == (
        "INCOMPLETE",
        "INCOMPLETE",
    )


# The tables of the one file are those of the specification


def spelled(cell: str) -> str:
    """Return a type as the auditor's tables spell it, from the cell in events.md."""
    cell = re.sub(r"\[([A-Z]\w+)\]\(#\w+\)", r"\1", cell).removesuffix(
        ", as the decision defines it"
    )
    if cell.endswith(" or null"):
        return spelled(cell.removesuffix(" or null")) + "?"
    if cell.startswith("one of "):
        return "=" + "|".join(re.findall(r"`([^`]+)`", cell))
    if found := re.fullmatch(r"array of array of \d: (.+)", cell):
        return "[(" + ",".join(spelled(part) for part in found[1].split(", ")) + ")]"
    if cell.startswith("array of "):
        return "[" + spelled(cell.removeprefix("array of ")) + "]"
    plain = {"string": "str", "integer": "int", "boolean": "bool", "any JSON value": "any"}
    return plain.get(cell, cell)


def test_its_tables_are_those_of_the_specification() -> None:
    text = (ROOT / "docs" / "spec" / "events.md").read_text("utf-8")
    events, _, shapes = text.partition("\n## Shapes\n")
    told: dict[str, tuple[str, dict[str, str]]] = {}
    for name, section in re.findall(r"(?ms)^### (\S+)\n(.*?)(?=^##|\Z)", events):
        kind = re.search(r"Kind `(\w+)`", section)
        assert kind
        rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \|$", section)
        every = re.search(r"Members as every \[(\w+)\]", section)
        members = SHAPES[every[1]] if every else {name: spelled(cell) for name, cell in rows}
        told[name] = (kind[1], members)
        if kind[1] == "ack":
            asked = re.search(r"Asked: ([\w ]+)\. Answer: (.+)", section)
            assert asked
            word = re.fullmatch(r"exactly `(.+)`\.", asked[2])
            role = "" if asked[1] == "every role in turn" else asked[1]
            assert QUESTIONS[name].role == role
            assert not word or QUESTIONS[name].form == "=" + word[1]
    assert told == EVENTS
    for name, section in re.findall(r"(?ms)^### (\S+)\n(.*?)(?=^##|\Z)", shapes):
        rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \|$", section)
        assert SHAPES[name] == {member: spelled(cell) for member, cell in rows}, name
