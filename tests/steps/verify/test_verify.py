"""verify: nothing is put out that two implementations do not both accept."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import rehearsing
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from marks import accepts, refuses

from ceremony.effects import Buffer
from ceremony.events import Decided, Outcome, SecondOpinion, Signed, TimeFixed
from ceremony.ingest import world
from ceremony.ingest.world import LinuxWorld
from ceremony.pin_uses import UsePin
from ceremony.token import SignRequest, SignResult
from ceremony.types import Mode
from hsm import soft
from tui.rehearsal.prepare import Prepared
from tui.tokens import BoundToken


def certificate(prepared: Prepared) -> str:
    return str(tomllib.loads(prepared.policy.read_text("utf-8"))["signer"]["certificate"])


@accepts("SIG-SECOND")
def test_sbverify_accepts_and_its_word_is_recorded(finished: Prepared) -> None:
    (said,) = [e for e in rehearsing.events(finished) if isinstance(e, SecondOpinion)]
    assert said.answer == "accepted"
    assert said.tool.startswith("sbverify 0.9")
    pem = finished.folder / "signer.pem"
    pem.write_text(certificate(finished))
    signed = finished.out / "anchor.signed.efi"
    done = subprocess.run(["sbverify", "--cert", pem, signed], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@refuses("SIG-SECOND")
def test_another_implementation_that_refuses_keeps_the_image_in(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses_it(
        _self: LinuxWorld, pieces: Callable[[], Iterator[Buffer]], _certificate: bytes
    ) -> SecondOpinion:
        assert sum(len(piece) for piece in pieces()) > 1000
        return SecondOpinion("sbverify 9", "refused", "exit 1: Signature verification failed")

    monkeypatch.setattr(LinuxWorld, "second", refuses_it)
    ended = rehearsing.held(prepared)
    assert ended.closed.outcome is Outcome.REFUSED
    assert rehearsing.refused_rules(ended) == {"SIG-SECOND"}
    assert not list(prepared.out.glob("*.signed.efi"))
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_sbverify_really_refuses_a_changed_image(finished: Prepared) -> None:
    data = bytearray((finished.out / "anchor.signed.efi").read_bytes())
    data[2000] ^= 1
    here = LinuxWorld(Mode.REHEARSAL, (), "t", "0")
    der = _der(certificate(finished))
    assert here.second(lambda: iter([bytes(data)]), der).answer == "refused"


def _der(pem: str) -> bytes:
    return load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def test_where_sbverify_is_not_installed_that_is_said(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "SEARCH", "/nowhere")
    assert rehearsing.held(prepared).released
    (decided,) = rehearsing.decisions(prepared, "verify.second_verdict")
    assert [f.severity for f in decided.findings] == ["warn"]


def test_a_signature_that_is_not_the_keys_is_never_assembled(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = BoundToken.sign

    def flips(token: BoundToken, request: SignRequest, use: UsePin) -> SignResult:
        good = whole(token, request, use)
        flipped = bytearray.fromhex(good.signature)
        flipped[7] ^= 1
        return replace(good, signature=flipped.hex())

    monkeypatch.setattr(BoundToken, "sign", flips)
    ended = rehearsing.held(prepared)
    assert ended.closed.outcome is Outcome.REFUSED
    assert "SIG-VALUE" in rehearsing.refused_rules(ended)
    assert any(isinstance(e, Signed) for e in rehearsing.events(prepared))
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_the_signed_image_is_what_sbsign_makes_of_it(prepared: Prepared, tmp_path: Path) -> None:
    """The very bytes, from the same key and certificate at the frozen time, by cmp(1)."""
    _use_file_key(prepared, tmp_path)
    assert rehearsing.held(prepared).released
    (fixed,) = [e for e in rehearsing.events(prepared) if isinstance(e, TimeFixed)]
    theirs = tmp_path / "theirs.efi"
    moment = fixed.wall.replace("T", " ").removesuffix("Z")
    files: list[str | Path] = [
        "--key",
        tmp_path / "key.pem",
        "--cert",
        tmp_path / "cert.pem",
        "--output",
        theirs,
    ]
    subprocess.run(
        ["faketime", "-f", moment, "sbsign", *files, prepared.out / "anchor.efi"],
        check=True,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
    )
    ours = prepared.out / "anchor.signed.efi"
    assert subprocess.run(["cmp", ours, theirs], check=False).returncode == 0
    detached = tmp_path / "theirs.p7"
    files[-1] = detached
    subprocess.run(
        ["faketime", "-f", moment, "sbsign", "--detached", *files, prepared.out / "anchor.efi"],
        check=True,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
    )
    assert (
        subprocess.run(["cmp", prepared.out / "anchor.p7", detached], check=False).returncode == 0
    )


def _use_file_key(prepared: Prepared, tmp_path: Path) -> None:
    """Let the policy name the embedded practice key, whose file sbsign can be given too."""
    (tmp_path / "key.pem").write_bytes(soft._REHEARSAL_KEY_PEM)
    (tmp_path / "cert.pem").write_bytes(soft.REHEARSAL_CERTIFICATE_PEM)
    (prepared.folder / "machine.toml").write_text('module = "rehearsal"\n')
    text = prepared.policy.read_text("utf-8")
    uri = next(line for line in text.splitlines() if line.startswith("uri = "))
    rehearsing.edit_policy(
        prepared,
        (certificate(prepared).strip(), soft.REHEARSAL_CERTIFICATE_PEM.decode().strip()),
        (uri, f'uri = "{soft.REHEARSAL_URI}"'),
    )
    sheet = prepared.sheet.read_text("utf-8").replace(prepared.pin, soft.REHEARSAL_PIN)
    prepared.sheet.write_text(sheet)
    assert shutil.which("faketime")
    assert shutil.which("sbsign")


def test_decisions_of_verify_hold_the_signature_itself(finished: Prepared) -> None:
    (decided,) = rehearsing.decisions(finished, "verify.second_verdict")
    assert isinstance(decided, Decided)
    assert isinstance(decided.facts, dict)
    cms = base64.b64decode(str(decided.facts["cms"]))
    assert (finished.out / "anchor.p7").read_bytes() == cms
