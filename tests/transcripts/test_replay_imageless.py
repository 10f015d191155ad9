"""Replay without the unsigned image: what only its bytes tell is believed, all else is judged."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
import rehearsing
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from forging import Bundle, rechained
from marks import accepts, refuses

from ceremony.ingest.reading import read_folder
from transcripts.replay import Verdict, replay
from tui.rehearsal.prepare import Prepared

IMAGELESS = ("[machine]", "[outputs]\nunsigned = false\n\n[machine]")


def list_sha512(prepared: Prepared) -> None:
    """Let bob list the image's SHA-512 too, which nobody can check without the image."""
    path = prepared.media / "attestations" / "bob.intoto.json"
    envelope = json.loads(path.read_text("utf-8"))
    statement = json.loads(base64.b64decode(envelope["payload"]))
    image = (prepared.media / "anchor.efi").read_bytes()
    for subject in statement["subject"]:
        subject["digest"]["sha512"] = hashlib.sha512(image).hexdigest()
    payload = json.dumps(statement).encode()
    key = load_pem_private_key((prepared.folder / "builders" / "bob").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    kind = envelope["payloadType"]
    said = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = key.sign(said, ec.ECDSA(hashes.SHA256()))
    envelope["payload"] = base64.b64encode(payload).decode()
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    path.write_text(json.dumps(envelope), "utf-8")


@pytest.fixture(scope="module")
def believed(_prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return an imageless bundle whose judge needed the image, under a ledger."""
    prepared = rehearsing.copy(_prepared, tmp_path_factory.mktemp("imageless") / "r")
    rehearsing.edit_policy(prepared, IMAGELESS, ("[quorum]\n", "[ledger]\n\n[quorum]\n"))
    list_sha512(prepared)
    assert rehearsing.held(prepared).released
    return read_folder(prepared.out)


@accepts("TRN-IMAGE", "TRN-PREVIOUS")
def test_a_verdict_that_needed_the_image_is_believed_and_its_chain_judged(
    believed: Bundle, prepared: Prepared
) -> None:
    found = replay(believed)
    assert [f.rule for f in found.findings] == ["TRN-IMAGE"], found.findings
    assert (found.verdict, found.outcome) == (Verdict.INCOMPLETE, "ok")
    image = (prepared.media / "anchor.efi").read_bytes()
    assert replay(believed, image).verdict is Verdict.REPRODUCED


def facts(values: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = next(value for value in values if value["event"] == name)["body"]["facts"]
    assert isinstance(found, dict)
    return found


@refuses("TRN-DECISION")
@pytest.mark.parametrize(
    ("event", "member", "value"),
    [
        ("inspect.verdict", "sha256", "file-sha256:" + "ab" * 32),
        ("inspect.verdict", "size", 1),
        ("inspect.verdict", "authenticode", "file-sha256:" + "ab" * 32),
        ("inspect.verdict", "sections", "many"),
        ("judge.verdict", "image_sha256", "file-sha256:" + "ab" * 32),
        ("judge.verdict", "policy_sha256", "spki-sha256:" + "ab" * 32),
        ("judge.verdict", "findings", []),
        ("judge.verdict", "matrix", None),
        ("verify.verdict", "cms_sha256", "ab" * 32),
        ("verify.verdict", "size", "1"),
        ("verify.verdict", "sha256", "AB" * 32),
        ("verify.verdict", "sha256", "ab"),
    ],
)
def test_only_what_has_the_form_and_is_about_this_image_is_believed(
    believed: Bundle, event: str, member: str, value: object
) -> None:
    found = replay(rechained(believed, lambda v: facts(v, event).update({member: value})))
    assert found.first is not None
    assert (found.first.event, found.first.rule) == (event, "TRN-DECISION")


@refuses("TRN-DECISION")
@pytest.mark.parametrize("event", ["inspect.verdict", "judge.verdict", "verify.verdict"])
def test_a_refusal_that_no_finding_makes_is_not_believed(believed: Bundle, event: str) -> None:
    def refuse(values: list[dict[str, Any]]) -> None:
        next(v for v in values if v["event"] == event)["body"]["outcome"] = "refused"

    found = replay(rechained(believed, refuse))
    assert found.first is not None
    assert (found.first.event, found.first.path) == (event, "body.outcome")


@refuses("TRN-DECISION")
def test_a_signature_that_is_none_differs_without_the_image_too(believed: Bundle) -> None:
    def flip(values: list[dict[str, Any]]) -> None:
        result = next(v for v in values if v["event"] == "sign.result")["body"]["result"]
        result["signature"] = result["signature"][:-2] + "00"

    found = replay(rechained(believed, flip))
    assert found.first is not None
    assert (found.first.event, found.first.rule) == ("verify.verdict", "TRN-DECISION")


@refuses("TRN-ORDER")
@pytest.mark.parametrize(
    "gone", ["judge.verdict", "read_back.words", "sign.approve", "sign.intent"]
)
def test_a_line_that_was_dropped_behind_a_missing_image_is_forged(
    believed: Bundle, gone: str
) -> None:
    found = replay(
        rechained(believed, lambda v: v.remove(next(x for x in v if x["event"] == gone)))
    )
    assert found.verdict is Verdict.FORGED
    assert "TRN-ORDER" in {finding.rule for finding in found.findings}
