"""export sigsum-request and sigsum-verify: there and back with a log, and a bundle unchanged."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from exports.sigsum_log import WITNESSES, SigsumLog, key, policy, read_request
from marks import accepts, refuses

from ceremony.ingest.reading import read_folder
from tui.commands.dispatch import dispatch
from tui.rehearsal.prepare import Prepared

GOLDEN = Path(__file__).resolve().parents[2] / "transcripts" / "golden"


def run(kind: str, bundle: Path, *options: object) -> int:
    return dispatch(["export", kind, str(bundle), *map(str, options)])


def asked(bundle: Path, submitter: Path, folder: Path) -> bytes:
    output = folder / "request"
    assert run("sigsum-request", bundle, "--key", submitter, "--output", output) == 0
    return output.read_bytes()


def answered(folder: Path, request: bytes, witnesses: tuple[str, ...] = ("north", "south")) -> None:
    """Write what comes back from the log, and the policy that is pinned."""
    log = SigsumLog()
    log.fill(6)
    leaf = log.add(request)
    log.fill(4)
    (folder / "proof").write_bytes(log.proof(leaf, [WITNESSES[name] for name in witnesses]))
    (folder / "sigsum.policy").write_bytes(policy(log))


def verified(bundle: Path, folder: Path, *options: object) -> int:
    files = ("--proof", folder / "proof", "--policy", folder / "sigsum.policy")
    return run("sigsum-verify", bundle, *files, *options)


@accepts("TRN-SIGSUM")
def test_a_checkpoint_is_logged_and_its_proof_verified(
    finished: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_folder(finished.out)
    request = asked(finished.out, finished.person_key("kim"), tmp_path)
    message = read_request(request)["message"]
    assert message == hashlib.sha256((finished.out / "checkpoint.txt").read_bytes()).digest()
    answered(tmp_path, request)
    assert verified(finished.out, tmp_path) == 0
    said = capsys.readouterr().out
    assert "by        kim" in said
    assert "leaf 6 of 11" in said
    assert "witness   south, 2026-09-21T" in said
    assert verified(finished.out, tmp_path, "--key", f"{finished.person_key('kim')}.pub") == 0
    assert read_folder(finished.out) == before


@accepts("TRN-SIGSUM")
def test_the_head_of_a_refused_ceremony_is_logged_too(tmp_path: Path) -> None:
    secret = key("a stranger")
    pem = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key").write_bytes(pem)
    bundle = GOLDEN / "refused_policy" / "bundle"
    answered(tmp_path, asked(bundle, tmp_path / "key", tmp_path))
    public = secret.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    (tmp_path / "key.pub").write_bytes(public)
    assert verified(bundle, tmp_path, "--key", tmp_path / "key.pub") == 0
    assert verified(bundle, tmp_path) == 1  # whose key may submit is not left open


@refuses("TRN-SIGSUM")
def test_a_proof_serves_its_own_checkpoint_and_submitter_alone(
    finished: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(tmp_path, asked(finished.out, finished.person_key("kim"), tmp_path))
    assert verified(GOLDEN / "happy" / "bundle", tmp_path, "--key", _kim(finished)) == 1
    assert "TRN-SIGSUM" in capsys.readouterr().err
    other = finished.person_key("ines")
    assert verified(finished.out, tmp_path, "--key", f"{other}.pub") == 1
    assert "TRN-SIGSUM" in capsys.readouterr().err


@refuses("TRN-SIGSUM")
def test_too_few_witnesses_and_an_altered_proof_are_refused(
    finished: Prepared, tmp_path: Path
) -> None:
    request = asked(finished.out, finished.person_key("kim"), tmp_path)
    answered(tmp_path, request, ("north", "west"))
    assert verified(finished.out, tmp_path) == 1
    answered(tmp_path, request)
    proof = (tmp_path / "proof").read_bytes()
    (tmp_path / "proof").write_bytes(proof.replace(b"leaf_index=6", b"leaf_index=5"))
    assert verified(finished.out, tmp_path) == 1


@refuses("TRN-EXPORT")
def test_a_proof_says_nothing_of_a_bundle_that_differs(
    finished: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(tmp_path, asked(finished.out, finished.person_key("kim"), tmp_path))
    (finished.out / "anchor.p7").write_bytes(b"another")
    assert verified(finished.out, tmp_path) == 1
    assert "TRN-EXPORT" in capsys.readouterr().err


@refuses("MED-SIZE", "MED-SPECIAL", "KEY-PRIVATE", "TRN-SIGSUM")
def test_hostile_files_are_refused(
    finished: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(tmp_path, asked(finished.out, finished.person_key("kim"), tmp_path))
    proof, pinned = tmp_path / "proof", tmp_path / "sigsum.policy"
    good = proof.read_bytes(), pinned.read_bytes()
    for path, rule in ((proof, "MED-SIZE"), (pinned, "MED-SIZE")):
        path.write_bytes(b"#\n" * 2**20)
        assert verified(finished.out, tmp_path) == 1
        assert rule in capsys.readouterr().err
        path.unlink()
        path.symlink_to("/dev/zero")
        assert verified(finished.out, tmp_path) == 1
        assert "MED-SPECIAL" in capsys.readouterr().err
        path.unlink()
        assert verified(finished.out, tmp_path) == 3
        proof.write_bytes(good[0])
        pinned.write_bytes(good[1])
    ecdsa = tmp_path / "ecdsa"
    words = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(ecdsa)]
    subprocess.run(words, check=True)
    assert verified(finished.out, tmp_path, "--key", f"{ecdsa}.pub") == 1
    assert "TRN-SIGSUM" in capsys.readouterr().err
    output = tmp_path / "another"
    assert run("sigsum-request", finished.out, "--key", ecdsa, "--output", output) == 1
    assert "KEY-PRIVATE" in capsys.readouterr().err
    assert not output.exists()


@accepts("TRN-SIGSUM")
def test_sigsum_verify_says_the_same(finished: Prepared, tmp_path: Path) -> None:
    program = shutil.which("sigsum-verify") or pytest.skip("sigsum-verify is not installed")
    answered(tmp_path, asked(finished.out, finished.person_key("kim"), tmp_path))
    done = subprocess.run(
        [program, "-k", _kim(finished), "-p", tmp_path / "sigsum.policy", tmp_path / "proof"],
        input=(finished.out / "checkpoint.txt").read_bytes(),
        check=False,
    )
    assert done.returncode == 0


def _kim(prepared: Prepared) -> Path:
    private = prepared.person_key("kim")
    return private.with_name(f"{private.name}.pub")
