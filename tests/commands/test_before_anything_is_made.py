"""What is refused before a folder, a token or a proof is made, and what the advice then says."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import rehearsing
from commands.builder_desk import Done, process
from marks import accepts, refuses

from transcripts.proofs import check_line, read_proof
from tui.rehearsal.prepare import Prepared


def held(prepared: Prepared) -> Done:
    logs = ("--log", prepared.logs[0], "--log", prepared.logs[1], "--out", prepared.out)
    words = ("--policy", prepared.policy, "--in", prepared.media, *logs, "--plain")
    return process("run", *words, "--machine", prepared.machine)


@refuses("KEY-BINDING", "APP-POLICY")
@pytest.mark.parametrize(
    ("line", "rule"), [("", "KEY-BINDING"), (f'policy_sha256 = "{"0" * 64}"\n', "APP-POLICY")]
)
def test_a_binding_that_is_refused_leaves_no_empty_logs(
    prepared: Prepared, line: str, rule: str
) -> None:
    rehearsing.production(prepared)
    rehearsing.bind(prepared, line)
    for folder in (*prepared.logs, prepared.out):
        shutil.rmtree(folder, ignore_errors=True)
    done = held(prepared)
    assert rule in done.err + done.out
    assert not any(folder.exists() for folder in (*prepared.logs, prepared.out))


# Proofs by replay


@accepts("TRN-PROOF")
def test_a_proof_goes_into_the_json_when_no_file_is_named(
    finished: Prepared, tmp_path: Path
) -> None:
    """It was dropped."""
    said = json.loads(process("replay", finished.out, "--json", "--prove", "3").out)
    file = tmp_path / "proof"
    words = ("--prove", "3", "--output", file)
    again = json.loads(process("replay", finished.out, "--json", *words).out)
    assert said["proof"] == again["proof"] == file.read_text("utf-8")
    line = (finished.out / "transcript.jsonl").read_bytes().split(b"\n")[2]
    check_line(read_proof(said["proof"].encode()), line)
    assert json.loads(process("replay", finished.out, "--json").out)["proof"] == ""


@refuses("TRN-PROOF")
def test_a_proof_that_cannot_be_made_is_one_object(finished: Prepared) -> None:
    """Two objects came: the replay's and the refusal's."""
    done = process("replay", finished.out, "--json", "--prove", "100000")
    assert (done.status, json.loads(done.out)["rules"]) == (1, ["TRN-PROOF"])


@refuses("TRN-FOLDER")
def test_a_transcript_alone_is_no_bundle_and_told_so(finished: Prepared) -> None:
    done = process("replay", finished.out / "transcript.jsonl")
    assert (done.status, "TRN-FOLDER" in done.err, "MED-PATH" in done.err) == (1, True, False)
    assert "Name the folder that a ceremony wrote" in done.err


# A practice token


def made(folder: Path, *, pin: str = "heron-4082", limit: int = 0) -> Done:
    reader, writer = os.pipe()
    os.write(writer, pin.encode() + b"\n")
    os.close(writer)
    words = ("--softhsm", folder, "--output", folder.parent / "signer.pem", "--pin-fd", reader)
    try:
        return process("token", "init", *words, limit=limit, keep=(reader,))
    finally:
        os.close(reader)


@refuses("MED-WRITE")
def test_no_room_for_a_practice_token_is_said_so(tmp_path: Path) -> None:
    """KEY-TOKEN advised to insert another token."""
    done = made(tmp_path / "token", limit=100)
    assert (done.status, "MED-WRITE" in done.err, "KEY-" in done.err) == (3, True, False), done.err
    assert "Free space" in done.err
    assert list(tmp_path.iterdir()) == []


@refuses("KEY-PIN-ENTRY")
def test_a_pin_is_no_longer_than_a_ceremony_takes(tmp_path: Path) -> None:
    done = made(tmp_path / "token", pin="1" * 129)
    assert (done.status, "a PIN is 4 to 128" in done.err) == (1, True), done.err
    assert list(tmp_path.iterdir()) == []


@accepts("KEY-PIN-ENTRY")
def test_the_longest_pin_is_taken(tmp_path: Path) -> None:
    done = made(tmp_path / "token", pin="1" * 128)
    if "KEY-MODULE" in done.err:
        pytest.skip("softhsm2 is not installed")
    assert done.status == 0, done.err


@refuses("MED-OUTPUT")
def test_a_signature_that_is_there_is_not_said_to_be_a_folder(prepared: Prepared) -> None:
    key = prepared.folder / "people/owner-1"
    done = process("policy", "sign", prepared.policy, "--key", key, "--name", "owner-1")
    assert (done.status, "MED-OUTPUT" in done.err) == (1, True), done.err
    assert "Name another file or an empty folder" in done.err
