"""Attestations on a token and on the medium: recorded, judged, told, and judged again on replay."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import rehearsing
from attestation.devices import YUBIKEY, Authority, attest, authority
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ceremony.errors import Refused
from ceremony.events import Aborted, LoggedIn, TokenProbed
from ceremony.policy import load
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from hsm.binding import read_binding
from transcripts.log import read_log
from tui import wiring
from tui.commands.dispatch import dispatch
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace

HERE = Path(__file__).parent
PROVED = "proved by attestation chain"


@pytest.fixture(scope="module")
def root() -> Authority:
    return authority("Test PIV Root CA", length=1)


@pytest.fixture(scope="module")
def device(root: Authority) -> Authority:
    return authority("Yubico PIV Attestation", root, length=0)


def leaf_of(prepared: Prepared, device: Authority) -> bytes:
    policy = load(prepared.policy.read_bytes())
    key = x509.load_pem_x509_certificate(policy.signer.certificate.encode()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return attest(device, key, YUBIKEY)


def on_token(prepared: Prepared, *ders: bytes) -> None:
    binding = read_binding(prepared.machine.read_bytes())
    wanted = {
        "module": str(binding.module),
        "pin": prepared.pin,
        "certificates": [der.hex() for der in ders],
    }
    subprocess.run(
        [sys.executable, "-I", str(HERE / "bring.py")],
        input=json.dumps(wanted),
        text=True,
        env=dict(binding.environment),
        check=True,
    )


def pin_root(prepared: Prepared, root: Authority, *more: str) -> None:
    lines = "\n".join(('attestation_roots = ["""', f'{root.pem}"""]', *more))
    rehearsing.edit_policy(prepared, ("[signer]\n", f"[signer]\n{lines}\n"))


def grades(prepared: Prepared, name: str) -> list[object]:
    facts = [decided.facts for decided in rehearsing.decisions(prepared, name)]
    return [each["grade"] for each in facts if isinstance(each, dict)]


def test_certificates_on_the_token_prove_it_before_the_pin_and_after(
    prepared: Prepared, root: Authority, device: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    on_token(prepared, leaf_of(prepared, device), device.der)
    pin_root(prepared, root, 'attestation = "refuse"')
    assert rehearsing.held(prepared).released
    assert grades(prepared, "sign.preflight") == [PROVED]
    assert grades(prepared, "sign.login_verdict") == [PROVED]
    (probed,) = (e for e in rehearsing.events(prepared) if isinstance(e, TokenProbed))
    assert len(probed.evidence.attestation) == 2
    capsys.readouterr()
    assert dispatch(["report", str(prepared.out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Grade proved by attestation chain: The device itself signed" in said
    assert "Device says serial 12345678" in said
    assert probed.evidence.grade == "asserted by module", "the module's word alone is no proof"
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_files_on_the_medium_prove_it_and_others_are_kept(
    prepared: Prepared, root: Authority, device: Authority
) -> None:
    folder = prepared.folder / "in" / "key"
    folder.mkdir()
    leaf = x509.load_der_x509_certificate(leaf_of(prepared, device)).public_bytes(Encoding.PEM)
    (folder / "9c.pem").write_bytes(leaf + device.pem.encode())
    (folder / "luna.p7b").write_bytes(b"what another vendor's tool wrote")
    pin_root(prepared, root, 'attestation_files = ["key/9c.pem", "key/luna.p7b"]')
    assert rehearsing.held(prepared).released
    (decided,) = rehearsing.decisions(prepared, "sign.preflight")
    assert grades(prepared, "sign.preflight") == [PROVED]
    told = [f.text for f in decided.findings if f.rule == "KEY-ATTEST-KEPT"]
    assert len(told) == 1
    assert told[0].startswith("key/luna.p7b, SHA-256 ")
    log = (prepared.logs[0] / "transcript.jsonl").read_bytes()
    assert b"what another vendor's tool wrote" in log, "kept in the transcript"
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_a_proof_that_the_policy_demands_and_nobody_brings_stops_before_the_pin(
    prepared: Prepared, root: Authority
) -> None:
    pin_root(prepared, root, 'attestation = "refuse"')

    class Aborts(ScriptFace):
        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == "sign.again":
                return Aborted("carol", "the key's birth is not proved")
            return super().answer(question)

    assert not wiring.hold(rehearsing.places_of(prepared), Aborts(prepared.sheet)).released
    (decided,) = rehearsing.decisions(prepared, "sign.preflight")
    assert "KEY-ATTEST-GRADE" in {f.rule for f in decided.findings}
    assert not [e for e in rehearsing.events(prepared) if isinstance(e, LoggedIn)]


def test_a_transcript_that_claims_a_proof_it_does_not_hold_is_not_reproduced(
    prepared: Prepared, root: Authority
) -> None:
    pin_root(prepared, root)
    assert rehearsing.held(prepared).released
    path = prepared.out / "transcript.jsonl"
    data = path.read_bytes()
    forged = data.replace(b'"grade":"asserted by module"', b'"grade":"proved by attestation chain"')
    assert forged != data
    path.chmod(0o644)
    path.write_bytes(forged)
    assert read_log(data).lines
    assert rehearsing.replayed(prepared).verdict != "REPRODUCED"


def test_the_command_token_shows_the_device_and_the_grade(
    prepared: Prepared, root: Authority, device: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"root.pem": root.pem.encode(), "key.pem": device.pem.encode()}
    leaf = x509.load_der_x509_certificate(leaf_of(prepared, device))
    files["key.pem"] += leaf.public_bytes(Encoding.PEM)
    for name, data in files.items():
        (prepared.folder / name).write_bytes(data)
    words = ["token", "--machine", str(prepared.machine), "--policy", str(prepared.policy)]
    words += ["--attestation", str(prepared.folder / "key.pem")]
    assert dispatch(words) == 0
    said = capsys.readouterr().out
    assert "grade   asserted by module" in said
    assert "the policy pins no root" in said
    words += ["--attestation-root", str(prepared.folder / "root.pem")]
    assert dispatch(words) == 0
    said = capsys.readouterr().out
    assert f"grade   {PROVED}" in said
    assert "device  YubiKey PIV" in said
    assert dispatch([*words, "--json"]) == 0
    (token,) = (one for one in json.loads(capsys.readouterr().out)["tokens"] if one["preflight"])
    attestation = token["preflight"][0]["attestation"]
    assert attestation["grade"] == PROVED
    assert ["serial", "12345678"] in attestation["facts"]


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ('attestation_roots = ["no certificate"]', "POL-CERTIFICATE"),
        ('attestation = "refuse"', "POL-VALUE"),
        ('attestation = "perhaps"', "POL-VALUE"),
        ('attestation_files = "one.pem"', "POL-VALUE"),
    ],
    ids=["root-is-none", "demand-without-root", "other-word", "files-no-list"],
)
def test_a_policy_that_says_it_wrong_is_refused(prepared: Prepared, lines: str, rule: str) -> None:
    text = prepared.policy.read_text().replace("[signer]\n", f"[signer]\n{lines}\n")
    with pytest.raises(Refused) as refused:
        load(text.encode())
    assert {f.rule for f in refused.value.findings} == {rule}
