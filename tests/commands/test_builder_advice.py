"""What `check` tells a builder to run, run as that builder: the vote is there afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from attest.gpg_home import Gpg
from commands.builder_desk import command, tool
from quorum.signify_key import SignifyKey
from rehearsing import edit_policy

from tui.commands.dispatch import dispatch
from tui.rehearsal.prepare import Prepared

OURS = {"ci-a": "SSH_KEY_FILE", "alice": "MINISIGN_KEY_FILE", "bob": "PEM_KEY_FILE"}


def reported(prepared: Prepared, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    words = ("--policy", str(prepared.policy), "--attestations", str(prepared.media), "--json")
    dispatch(["check", str(prepared.media / "anchor.efi"), *words])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def without(prepared: Prepared, builder: str) -> None:
    """Take a builder's attestation off the medium."""
    for path in (prepared.media / "attestations").glob(f"{builder}.*"):
        path.unlink()


def advised(prepared: Prepared, builder: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the builder whose vote alone is missing is told to run."""
    (advice,) = reported(prepared, capsys)["advice"]
    assert advice["builder"] == builder
    assert "no attestation of this builder is here" in advice["says"]
    return str(advice["run"])


def run_as_builder(line: str, prepared: Prepared, tmp_path: Path, **env: str) -> None:
    """Run one line in the shell where the image and the lock file lie."""
    programs = tmp_path / "bin"
    programs.mkdir()
    ours = programs / "uki-ceremony"
    ours.write_text("#!/bin/sh\nexec " + subprocess.list2cmdline(command()) + ' "$@"\n')
    (programs / "signify").symlink_to("/usr/bin/signify-openbsd")
    ours.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=prepared.media,
        env={"PATH": path, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def counts(prepared: Prepared, builder: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = reported(prepared, capsys)
    votes = {row["builder"]: (row["answer"], row["disposition"]) for row in found["matrix"]}
    assert votes[builder] == ("match", "counted"), found["attestations"]
    assert found["advice"] == []


@pytest.mark.parametrize("builder", OURS)
def test_our_own_command_makes_the_vote(
    builder: str, prepared: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without(prepared, builder)
    line = advised(prepared, builder, capsys)
    assert line.startswith("uki-ceremony attest anchor.efi ")
    key = prepared.folder / "builders" / builder
    run_as_builder(line.replace(OURS[builder], str(key)), prepared, tmp_path)
    counts(prepared, builder, capsys)


def enrol(prepared: Prepared, builder: str, kind: str, form: str, public: str) -> None:
    """Give a builder another key and another format."""
    text = prepared.policy.read_text("utf-8")
    block = text[text.index(f'id = "{builder}"') :].partition("[[builder]]")[0]
    changed = re.sub(r"formats = .*", f'formats = ["{form}"]', block)
    changed = re.sub(r"  type = .*", f'  type = "{kind}"', changed)
    changed = re.sub(r"  public = .*", lambda _: f"  public = {json.dumps(public)}", changed)
    edit_policy(prepared, (block, changed))


def test_gpg_makes_the_vote_of_who_enrolled_an_openpgp_key(
    prepared: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool("gpg")
    without(prepared, "ci-a")
    with Gpg.made() as gpg:
        fingerprint = gpg.key("ci", "ed25519")
        enrol(prepared, "ci-a", "openpgp", "openpgp", gpg("--armor", "--export", "ci").decode())
        line = advised(prepared, "ci-a", capsys).replace("OPENPGP_KEY", fingerprint)
        run_as_builder(line, prepared, tmp_path, GNUPGHOME=str(gpg.home))
    counts(prepared, "ci-a", capsys)


def test_signify_makes_the_vote_of_who_enrolled_its_key(
    prepared: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = SignifyKey.make(tmp_path / "ci")
    without(prepared, "ci-a")
    enrol(prepared, "ci-a", "signify", "signify", key.text)
    line = advised(prepared, "ci-a", capsys)
    run_as_builder(line.replace("SIGNIFY_KEY_FILE", f"{key.path}.sec"), prepared, tmp_path)
    counts(prepared, "ci-a", capsys)


def test_who_shares_a_principal_is_told_whose_vote_it_has(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    """A principal bears its first builder's name, who was told to be one with itself."""
    quorum = re.search(r"\[quorum\]\n.*?\n\n", prepared.policy.read_text("utf-8"), re.DOTALL)
    assert quorum
    alone = ('id = "alice"\n', 'id = "alice"\nshares_with = ["bob"]\n')
    edit_policy(prepared, alone, (quorum.group(), "[quorum]\nthreshold = 2\n\n"))
    without(prepared, "alice")
    (advice,) = reported(prepared, capsys)["advice"]
    assert (advice["builder"], advice["run"]) == ("alice", "")
    assert advice["says"].startswith("it has not spoken, but is one principal with bob, which")


def test_what_check_passed_over_is_said_beside_the_missing_vote(
    prepared: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signature that is a link was told in JSON alone: its builder was asked to build again."""
    link = prepared.media / "attestations/ci-a.SHA256SUMS.sig"
    link.rename(tmp_path / "real.sig")
    link.symlink_to(tmp_path / "real.sig")
    capsys.readouterr()
    words = ("--policy", str(prepared.policy), "--attestations", str(prepared.media))
    assert dispatch(["check", str(prepared.media / "anchor.efi"), *words]) == 1
    told = capsys.readouterr().out
    line = "warn   MED-SPECIAL: attestations/ci-a.SHA256SUMS.sig is a link, not a regular file\n"
    assert told.count(line) == 1
