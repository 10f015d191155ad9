"""The vendor's code runs where these answers come from, so no shape of them is believed."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.errors import TokenTrouble
from ceremony.preflight import read_certificate, signing_key
from ceremony.token import TokenEvidence
from hsm.evidence import octets, read_evidence
from hsm.signature import verified
from hsm.soft import REHEARSAL_CERTIFICATE_PEM

KEY = signing_key(read_certificate(REHEARSAL_CERTIFICATE_PEM))
FOUND = {
    "label": "uki",
    "id": "01",
    "found_as": "private key",
    "attributes": [["SIGN", "true"], ["ALWAYS_AUTHENTICATE", "true"]],
}
ANSWER: dict[str, object] = {
    "library_manufacturer": "Vendor",
    "library_description": "d",
    "library_version": "1.0",
    "cryptoki": "2.40",
    "slot_id": 3,
    "slot_description": "d",
    "slot_manufacturer": "m",
    "token_label": "label",
    "token_serial": "77",
    "token_model": "m",
    "token_manufacturer": "m",
    "token_flags": ["RNG"],
    "mechanisms": ["CKM_RSA_PKCS"],
    "pin_state": "ok",
    "protected_path": False,
    "keys": [FOUND],
    "certificates": [],
}


LIBRARY = shutil.which("true") or ""
ANSWER["libraries"] = [LIBRARY]


def read(answer: dict[str, object]) -> TokenEvidence:
    return read_evidence(
        answer,
        module_path="/m.so",
        module_sha256=hashlib.sha256(Path(LIBRARY).read_bytes()).hexdigest(),
        sandbox="none",
        key=KEY,
        stage="before-login",
        possession="not-tried",
    )


@accepts("KEY-CHILD")
def test_an_answer_becomes_evidence() -> None:
    evidence = read(ANSWER)
    assert (evidence.token_label, evidence.slot_id, evidence.mechanisms) == (
        "label",
        3,
        ("CKM_RSA_PKCS",),
    )
    assert evidence.keys[0].always_authenticate
    assert evidence.keys[0].bits == 2048
    assert evidence.libraries == ((LIBRARY, evidence.module_sha256),)


def test_a_mapped_file_is_measured_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.so")
    (tmp_path / "lib.so").write_bytes(b"code")
    paths = [*(str(tmp_path / name) for name in ("lib.so", "pipe.so", ".")), LIBRARY]
    evidence = read({**ANSWER, "libraries": paths})
    digests = [digest for _, digest in evidence.libraries][:-1]
    assert digests == [hashlib.sha256(b"code").hexdigest(), "unreadable", "unreadable"]
    (tmp_path / "lib.so").write_bytes(b"other code")
    assert read({**ANSWER, "libraries": paths}).libraries[0][1] != digests[0]


def test_what_a_token_calls_itself_is_shown_escaped() -> None:
    evidence = read({**ANSWER, "token_label": "a\x1b[2J\u202e", "token_flags": ["\n"]})
    assert evidence.token_label == "a\\x1b[2J\\u202e"
    assert evidence.token_flags == ("\\x0a",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in ANSWER if name != "protected_path"),
        ("certificates", [1]),
        ("certificates", ["zz"]),
        ("certificates", ["00"] * 49),
        ("slot_id", "3"),
        ("slot_id", True),
        ("token_label", b"x".hex),
        ("token_flags", "RNG"),
        ("token_flags", [1]),
        ("mechanisms", ["CKM"] * 1001),
        ("pin_state", "fine"),
        ("libraries", ["lib.so"]),
        ("libraries", ["/lib\0.so"]),
        ("libraries", [3]),
        ("libraries", ["/lib.so"] * 1001),
        ("keys", [3]),
        ("keys", [{}]),
        ("keys", [{**FOUND, "found_as": "secret key"}]),
        ("keys", [{**FOUND, "attributes": [["SIGN"]]}]),
        ("keys", [{**FOUND, "attributes": [["SIGN", "maybe"]]}]),
        ("keys", [{**FOUND, "attributes": [[1, "true"]]}]),
    ],
)
@refuses("KEY-CHILD")
def test_any_other_shape_is_a_trouble(name: str, value: object) -> None:
    with pytest.raises(TokenTrouble, match=r"KEY-CHILD: .* no usable"):
        read({**ANSWER, name: value})


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(ANSWER)), json)
def test_garbage_is_evidence_or_trouble_and_nothing_else(name: str, value: object) -> None:
    with suppress(TokenTrouble):
        assert isinstance(read({**ANSWER, name: value}), TokenEvidence)


@refuses("KEY-CHILD")
@pytest.mark.parametrize("value", [None, 3, "0", "zz", "00" * 20000])
def test_a_signature_that_is_not_hex_is_a_trouble(value: object) -> None:
    with pytest.raises(TokenTrouble, match="KEY-CHILD"):
        octets({"signature": value}, "signature")


@refuses("KEY-SIGNATURE")
@given(st.binary(max_size=300))
def test_no_other_bytes_are_a_signature(answer: bytes) -> None:
    assert isinstance(KEY, rsa.RSAPublicKey)
    assert verified(KEY, bytes(32), answer) is None
