"""The verification summary: what it says of which bundle, read by others' implementations."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rehearsing
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from exports.publishing import GOLDEN, PRODUCTION, export, keys, openssl, other_key
from marks import accepts, refuses

from ceremony.ingest.reading import read_folder
from ceremony.types import Mode
from transcripts.exports import vsa
from transcripts.exports.source import released, sealed
from tui.commands.dispatch import dispatch
from tui.rehearsal.prepare import Prepared

HAPPY = GOLDEN / "happy" / "bundle"
TYPE = "application/vnd.in-toto+json"
Json = dict[str, Any]


def statement(envelope: Json) -> Json:
    assert envelope["payloadType"] == TYPE
    said: Json = json.loads(base64.b64decode(envelope["payload"], validate=True))
    return said


def sums(bundle: Path) -> dict[str, str]:
    lines = (bundle / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


@accepts("TRN-EXPORT")
def test_the_summary_of_a_production_ceremony(tmp_path: Path) -> None:
    key, _ = keys(tmp_path)
    assert export(PRODUCTION, key, tmp_path / "v") == 0
    said = statement(json.loads((tmp_path / "v").read_bytes()))
    listed = sums(PRODUCTION)
    signed = next(name for name in listed if name.endswith(".signed.efi"))
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert said["subject"] == [{"name": signed, "digest": {"sha256": listed[signed]}}]
    predicate = said["predicate"]
    assert predicate["verifier"]["id"] == "urn:uki-ceremony:verifier:production"
    assert predicate["verifier"]["version"]["ruleset"] == "1"
    assert predicate["verificationResult"] == "PASSED"
    assert predicate["verifiedLevels"] == ["UKI_CEREMONY_QUORUM_3", "UKI_CEREMONY_WITNESSES_2"]
    assert predicate["policy"]["digest"] == {"sha256": listed["policy.toml"]}
    for used in predicate["inputAttestations"]:
        name = used["uri"].partition("/")[2]
        assert used["digest"] == {"sha256": listed[name]}
    assert len(predicate["inputAttestations"]) == 3
    evidence = predicate["urn:uki-ceremony:evidence"]
    assert evidence["checkpoint"] == (PRODUCTION / "checkpoint.txt").read_text()
    assert evidence["unsigned"]["digest"] == {"sha256": listed[evidence["unsigned"]["name"]]}
    # The clock that the internal witness confirmed, in the record: RFC 3339, UTC.
    assert f'"{predicate["timeVerified"]}"' in (PRODUCTION / "transcript.jsonl").read_text()


@accepts("TRN-EXPORT")
def test_a_publisher_names_verifier_and_resource(tmp_path: Path) -> None:
    key, _ = keys(tmp_path)
    named = ("--verifier-id", "https://example.org/keys", "--resource-uri", "pkg:generic/uki@7")
    assert export(PRODUCTION, key, tmp_path / "v", *named) == 0
    predicate = statement(json.loads((tmp_path / "v").read_bytes()))["predicate"]
    assert predicate["verifier"]["id"] == "https://example.org/keys"
    assert predicate["resourceUri"] == "pkg:generic/uki@7"


@accepts("TRN-EXPORT")
@pytest.mark.parametrize("kind", ["ed25519", "ssh", "p256", "p384"])
def test_securesystemslib_verifies_the_envelope(tmp_path: Path, kind: str) -> None:
    dsse = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    exceptions = pytest.importorskip("securesystemslib.exceptions")
    key, public = keys(tmp_path, kind)
    assert export(PRODUCTION, key, tmp_path / "v") == 0
    document = json.loads((tmp_path / "v").read_bytes())
    keyid = document["signatures"][0]["keyid"]

    def verify(envelope: Json, path: Path) -> object:
        pem = load_pem_public_key(path.read_bytes())
        known = signer.SSlibKey.from_crypto(pem, keyid=keyid)
        return dsse.Envelope.from_dict(deepcopy(envelope)).verify([known], 1)  # it alters its input

    assert verify(document, public)
    with pytest.raises(exceptions.VerificationError):
        verify(document, other_key(tmp_path, kind))
    payload = base64.b64decode(document["payload"]).replace(b"PASSED", b"PASSED ")
    altered = {**document, "payload": base64.b64encode(payload).decode()}
    with pytest.raises(exceptions.VerificationError):
        verify(altered, public)


@accepts("TRN-EXPORT")
def test_openssl_verifies_the_envelope(tmp_path: Path) -> None:
    key, public = keys(tmp_path, "p256")
    assert export(PRODUCTION, key, tmp_path / "v") == 0
    document = json.loads((tmp_path / "v").read_bytes())
    payload = base64.b64decode(document["payload"])
    (tmp_path / "pae").write_bytes(b"DSSEv1 %d %b %d " % (len(TYPE), TYPE.encode(), len(payload)))
    with (tmp_path / "pae").open("ab") as file:
        file.write(payload)
    (tmp_path / "sig").write_bytes(base64.b64decode(document["signatures"][0]["sig"]))
    words = ("dgst", "-sha256", "-verify", public, "-signature", tmp_path / "sig", tmp_path / "pae")
    assert b"Verified OK" in openssl(*words)


@accepts("TRN-EXPORT")
def test_the_sigstore_form_is_a_bundle_and_holds_the_same_statement(tmp_path: Path) -> None:
    models = pytest.importorskip("sigstore_models.bundle.v1", reason="the extra `sigstore`")
    key, public = keys(tmp_path)
    assert export(PRODUCTION, key, tmp_path / "b", "--form", "sigstore") == 0
    assert export(PRODUCTION, key, tmp_path / "v") == 0
    envelope = json.loads((tmp_path / "v").read_bytes())
    bundle = models.Bundle.from_json((tmp_path / "b").read_bytes())
    assert bundle.media_type == "application/vnd.dev.sigstore.bundle.v0.3+json"
    material = bundle.verification_material
    assert (material.certificate, material.tlog_entries) == (None, [])
    der = openssl("pkey", "-pubin", "-in", public, "-outform", "DER")
    assert base64.b64decode(material.public_key.hint) == hashlib.sha256(der).digest()
    inside = json.loads((tmp_path / "b").read_bytes())["dsseEnvelope"]
    assert (inside["payload"], inside["payloadType"]) == (envelope["payload"], TYPE)
    # Ed25519 is deterministic: both wrappings carry the same signature.
    assert inside["signatures"][0]["sig"] == envelope["signatures"][0]["sig"]


def test_sigstore_python_takes_no_bundle_of_a_plain_key(tmp_path: Path) -> None:
    """As docs/spec/exports.md says; when this fails, it may say something better."""
    models = pytest.importorskip("sigstore.models", reason="the extra `sigstore`")
    key, _ = keys(tmp_path)
    assert export(PRODUCTION, key, tmp_path / "b", "--form", "sigstore") == 0
    with pytest.raises(models.InvalidBundle, match="certificate"):
        models.Bundle.from_json((tmp_path / "b").read_text())


# What it does not say


@accepts("TRN-EXPORT")
@refuses("TRN-EXPORT")
def test_a_ceremony_under_a_strangers_policy_is_not_vouched_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, _ = keys(tmp_path)
    ours = ("--policy", str(PRODUCTION / "policy.toml"))
    assert export(PRODUCTION, key, tmp_path / "v", *ours) == 0
    theirs = GOLDEN / "chained" / "bundle"
    assert (theirs / "policy.toml").read_bytes() != (PRODUCTION / "policy.toml").read_bytes()
    assert export(theirs, key, tmp_path / "w", *ours) == 1
    assert "TRN-EXPORT" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


@accepts("TRN-EXPORT")
@refuses("TRN-EXPORT")
def test_a_rehearsals_summary_says_that_it_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, _ = keys(tmp_path)
    assert export(HAPPY, key, tmp_path / "v") == 0
    predicate = statement(json.loads((tmp_path / "v").read_bytes()))["predicate"]
    assert predicate["verifier"]["id"] == "urn:uki-ceremony:verifier:rehearsal"
    assert predicate["verifiedLevels"] == ["UKI_CEREMONY_REHEARSAL"]
    assert predicate["urn:uki-ceremony:evidence"]["mode"] == "rehearsal"
    assert "REHEARSAL" in capsys.readouterr().out
    assert export(HAPPY, key, tmp_path / "w", "--verifier-id", "https://example.org/keys") == 1
    assert "TRN-EXPORT" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


@accepts("TRN-EXPORT")
def test_an_override_is_told_and_never_called_a_quorum() -> None:
    practice = sealed(read_folder(GOLDEN / "dissent" / "bundle"), None, None)
    source = replace(practice, mode=Mode.PRODUCTION)
    said = json.loads(vsa.payload(source, released(source), vsa.Names("1")))["predicate"]
    assert said["verifiedLevels"] == ["UKI_CEREMONY_OVERRIDDEN", "UKI_CEREMONY_WITNESSES_2"]
    assert "inputAttestations" not in said


@refuses("TRN-EXPORT")
@pytest.mark.parametrize("name", ["aborted", "disputed", "refused_policy", "refused_quorum"])
def test_a_ceremony_that_released_nothing_passes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    key, _ = keys(tmp_path)
    assert export(GOLDEN / name / "bundle", key, tmp_path / "v") == 1
    assert "TRN-EXPORT" in capsys.readouterr().err
    assert not (tmp_path / "v").exists()


@refuses("TRN-EXPORT")
@pytest.mark.parametrize(
    "harm", ["anchor.signed.efi", "transcript.jsonl", "checkpoint.ed.sshsig", "SHA256SUMS"]
)
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_bundle_that_is_not_reproduced_is_not_exported(
    finished: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str, how: str
) -> None:
    key, _ = keys(tmp_path)
    file = finished.out / harm
    if how == "gone":
        file.unlink()
    else:
        data = file.read_bytes()
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for kind in ("vsa", "sigsum-request"):
        words = ("export", kind, finished.out, "--key", key, "--output", tmp_path / "v")
        assert dispatch([str(word) for word in words]) == 1
        assert "TRN-EXPORT" in capsys.readouterr().err
    assert not (tmp_path / "v").exists()


@refuses("TRN-EXPORT")
@pytest.mark.parametrize(
    "uri", ["example.org", "https://example.org/a b", 'x:"', "x:" + "a" * 600, "x:\u00e9", "x:\n"]
)
def test_what_is_no_uri_names_nothing(tmp_path: Path, uri: str) -> None:
    key, _ = keys(tmp_path)
    assert export(PRODUCTION, key, tmp_path / "v", "--verifier-id", uri) == 1
    assert export(PRODUCTION, key, tmp_path / "v", "--resource-uri", uri) == 1
    assert not (tmp_path / "v").exists()


@refuses("KEY-PRIVATE")
def test_a_key_that_cannot_sign_a_summary_is_refused(tmp_path: Path) -> None:
    rsa, public = keys(tmp_path, "rsa")
    (tmp_path / "text").write_text("no key\n")
    locked = tmp_path / "locked"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "a secret", "-f", str(locked)]
    subprocess.run(words, check=True)
    for key in (rsa, public, locked, tmp_path / "text", tmp_path / "nothing", tmp_path):
        assert export(PRODUCTION, key, tmp_path / "v") in (1, 3)
    assert not (tmp_path / "v").exists()


@accepts("MED-OUTPUT")
@refuses("MED-OUTPUT")
@pytest.mark.parametrize("kind", ["vsa", "sigsum-request"])
def test_an_export_overwrites_nothing_and_leaves_the_bundle_as_it_is(
    finished: Prepared, tmp_path: Path, kind: str
) -> None:
    key, _ = keys(tmp_path)
    before = read_folder(finished.out)
    (tmp_path / "there").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    words = ["export", kind, str(finished.out), "--key", str(key), "--output"]
    for output in (tmp_path / "there", tmp_path / "link", finished.out / "v"):
        assert dispatch([*words, str(output)]) == 1
    assert dispatch([*words, str(tmp_path / "no" / "v")]) == 3
    assert (tmp_path / "there").read_text() == "mine"
    assert dispatch([*words, str(tmp_path / "v")]) == 0
    assert read_folder(finished.out) == before
    assert rehearsing.replayed(finished).verdict == "REPRODUCED"
    assert not list(tmp_path.glob("*.part"))
