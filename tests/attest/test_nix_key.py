"""Nix's keys: a name, which is a hint, and 32 bytes."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.nix_cache import NixStore, needs_nix
from quorum.refusal import rule_of

from ceremony.attest.nix_key import parse_nix_key
from ceremony.errors import Refused
from ceremony.keys import from_ed25519

RAW = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
TEXT = "cache.example.org-1:" + base64.b64encode(RAW).decode()


@accepts("ATT-KEY")
def test_a_key_has_a_name_and_one_identity() -> None:
    found = parse_nix_key(TEXT + "\n")
    assert found.key_id == found.name == "cache.example.org-1"
    assert found.keys == (from_ed25519(RAW),)


@accepts("ATT-KEY")
def test_a_key_of_the_real_nix_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    needs_nix()
    assert parse_nix_key(NixStore(tmp_path_factory.mktemp("nix")).key("ann-1")).key_id == "ann-1"


@refuses("ATT-KEY")
@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "name:", ":" + TEXT.partition(":")[2], TEXT.partition(":")[2]),
        *(TEXT.rstrip("="), TEXT + "=", TEXT.replace("-1:", "-1: "), TEXT.replace("-1", "\u00e9")),
        "n:" + base64.b64encode(RAW[:31]).decode(),
        "n:" + base64.b64encode(RAW + b"\0").decode(),
        "n:" + base64.b64encode(RAW + RAW).decode(),
        "n:" + base64.b64encode(b"\xff" * 32).decode(),
        "n" * 600 + ":" + base64.b64encode(RAW).decode(),
        TEXT + "\n" + TEXT,
    ],
)
def test_what_is_no_nix_key_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="ATT-KEY"):
        parse_nix_key(text)


def test_a_secret_key_is_called_one() -> None:
    with pytest.raises(Refused, match="secret"):
        parse_nix_key("n:" + base64.b64encode(RAW + RAW).decode())


@given(st.text(max_size=80))
def test_any_text_parses_or_is_refused(noise: str) -> None:
    for text in (noise, TEXT[:25] + noise):
        assert rule_of(parse_nix_key, text) in ("", "ATT-KEY")
