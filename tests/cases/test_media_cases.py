"""The cases that begin with the medium or the image: 74, 76, 77, 78, by the `check` command."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from pe.images import MOMENT, signer
from quorum.release import Release, sha256
from rehearsing import decisions, edit_policy, held, tiny_uki

from ceremony.engine.inspect import gates
from ceremony.ingest import limits
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.pe.sign import assemble, plan
from ceremony.types import Severity, refusals
from tui.commands.dispatch import dispatch
from tui.rehearsal.prepare import Prepared, prepare

Found = dict[str, Any]
MANY = 10_000
BEGINS = (b"-----BEGIN SSH SIGNATURE-----\n", b'{"payloadType": ', b"untrusted comment: ", b"")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def check(prepared: Prepared, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    capsys.readouterr()
    words = ("--policy", str(prepared.policy), "--attestations", str(prepared.media))
    dispatch(["check", str(prepared.media / "anchor.efi"), *words, *more])
    return capsys.readouterr().out


def reported(prepared: Prepared, capsys: pytest.CaptureFixture[str]) -> Found:
    found: Found = json.loads(check(prepared, capsys, "--json"))
    return found


def votes(found: Found) -> dict[str, str]:
    return {one["builder"]: one["disposition"] for one in found["attestations"] if one["builder"]}


ALL_COUNT = {"alice": "counted", "bob": "counted", "ci-a": "counted"}


def test_74_an_image_that_is_signed_already_is_refused(
    prepared: Prepared, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    image = prepared.media / "anchor.efi"
    by = signer()
    planned = plan(image.read_bytes(), by.certificate, (), MOMENT)
    signed = assemble(image.read_bytes(), planned, by.sign(planned.attributes))
    image.write_bytes(b"".join(signed.pieces()))
    found = reported(prepared, capsys)
    assert (found["verdict"], found["rules"]) == ("ACCEPT", [])
    edit_policy(prepared, ('signed_input = "report"', 'signed_input = "refuse"'))
    found = reported(prepared, capsys)
    assert found["verdict"] == "REFUSE"
    assert votes(found) == ALL_COUNT  # what was attested is the image without signatures
    assert sorted(found["rules"]) == ["QRM-SIGNED", "SIG-PRESENT"]
    assert "SIG-PRESENT" in {finding["rule"] for finding in found["findings"]}
    refused = refusals(inspect(image.read_bytes(), gates(release.policy())).findings)
    assert [finding.rule for finding in refused] == ["SIG-PRESENT"]


def test_74_a_whole_ceremony_over_an_image_that_is_signed_already(tmp_path: Path) -> None:
    image, by = tiny_uki(), signer()
    planned = plan(image, by.certificate, (), MOMENT)
    signed = b"".join(assemble(image, planned, by.sign(planned.attributes)).pieces())
    (tmp_path / "anchor.efi").write_bytes(signed)
    prepared = prepare(tmp_path / "rehearsal", tmp_path / "anchor.efi")
    statement = json.loads((prepared.media / "attestations/bob.intoto.json").read_bytes())
    assert sha256(signed) not in base64.b64decode(statement["payload"]).decode()
    assert held(prepared).released
    (verdict,) = decisions(prepared, "judge.verdict")
    assert [f.rule for f in verdict.findings if f.severity is Severity.WARN] == ["QRM-SIGNED"]
    (out,) = prepared.folder.glob("out/**/*.signed.efi")
    assert len(inspect(out.read_bytes(), OPEN_GATES).signatures) == 2


def test_76_bytes_behind_the_last_section_are_refused(
    prepared: Prepared, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    image = prepared.media / "anchor.efi"
    image.write_bytes(image.read_bytes() + b"trailing")
    found = reported(prepared, capsys)
    assert found["verdict"] == "REFUSE"
    assert "QRM-SUBJECT" in found["rules"]
    assert "PE-OVERLAY" in {finding["rule"] for finding in found["findings"]}
    refused = refusals(inspect(image.read_bytes(), gates(release.policy())).findings)
    assert [finding.rule for finding in refused] == ["PE-OVERLAY"]


def test_77_ten_thousand_files_of_garbage_change_nothing(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    assert votes(reported(prepared, capsys)) == ALL_COUNT
    for number in range(MANY):
        folder = prepared.media / f"g{number % 100}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.sig").write_bytes(BEGINS[number % 4] + bytes([number % 251]) * 99)
    deep = prepared.media / "/".join("d" * (limits.MOST_DEPTH + 4))
    deep.mkdir(parents=True)
    (deep / "SHA256SUMS.sig").write_bytes(BEGINS[0])
    (prepared.media / "up").symlink_to("..")
    (prepared.media / "alice.SHA256SUMS.sig").symlink_to("/etc/passwd")
    os.mkfifo(prepared.media / "pipe.sig")
    with (prepared.media / "bomb.intoto.json").open("wb") as bomb:
        bomb.truncate(1 << 40)
    (prepared.media / "nest.intoto.json").write_bytes(b'{"payloadType":' + b"[" * 900_000)
    began = time.monotonic()
    found = reported(prepared, capsys)
    assert time.monotonic() - began < 60  # a bound, not a figure; the machine may be busy
    assert votes(found) == ALL_COUNT
    assert (found["verdict"], found["rules"]) == ("ACCEPT", [])
    told = {finding["rule"] for finding in found["findings"]}
    assert {"MED-SPECIAL", "MED-SIZE", "MED-COUNT"} <= told
    assert len(found["attestations"]) > MANY


def test_78_names_that_attack_a_terminal_are_shown_escaped(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("-rf", "\x1b[2J\x1b]0;owned\x07.sig", "a\nb.sig", "\u202egis.SMUS652AHS", "~"):
        (prepared.media / name).write_bytes(BEGINS[0])
    said = check(prepared, capsys)
    assert said.splitlines()[-1] == "ACCEPT"
    assert said.replace("\n", "").isascii()
    assert said.replace("\n", "").isprintable()


def test_a_missing_vote_is_explained_in_a_sentence_and_a_command(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    (prepared.media / "attestations/bob.intoto.json").unlink()
    found = reported(prepared, capsys)
    (advice,) = found["advice"]
    assert advice["builder"] == "bob"
    assert advice["says"].startswith("no attestation of this builder is here")
    assert advice["run"].startswith("uki-ceremony attest anchor.efi --builder bob --key ")
    assert [(row["builder"], row["answer"]) for row in found["matrix"]] == [
        ("alice", "match"),
        ("bob", "missing"),
        ("ci-a", "match"),
    ]
    said = check(prepared, capsys)
    assert "Votes that are missing" in said
    assert f"    {advice['run']}" in said
