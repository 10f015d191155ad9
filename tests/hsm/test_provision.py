from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from marks import refuses

from ceremony.errors import MediaTrouble, TokenTrouble
from ceremony.preflight import preflight, read_certificate, signing_key
from ceremony.types import Mode, refusals
from hsm import provision
from hsm.binding import read_binding
from hsm.provision import make_rehearsal_token
from hsm.token import Pkcs11Token

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
make = partial(make_rehearsal_token, not_before=NOW, not_after=NOW + timedelta(days=30))


@pytest.mark.parametrize("bits", [2048, 3072])
def test_a_new_token_serves_a_rehearsal_from_one_end_to_the_other(
    tmp_path: Path, bits: int
) -> None:
    made = make(tmp_path / "a b" / 'quote"d', "pin 1234", bits=bits)
    certificate = read_certificate(made.certificate_pem)
    assert signing_key(certificate).key_size == bits
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CODE_SIGNING]
    token = Pkcs11Token(read_binding(made.binding_toml.encode()), made.uri)
    before = token.probe(made.certificate_pem)
    assert refusals(preflight(before, made.certificate_pem, NOW, Mode.REHEARSAL)) == ()
    after = token.login(bytearray(b"pin 1234")).evidence
    assert after is not None
    assert preflight(after, made.certificate_pem, NOW, Mode.REHEARSAL) == ()
    token.close()


@refuses("KEY-TOKEN")
def test_a_folder_with_a_token_is_left_alone(tmp_path: Path) -> None:
    made = make(tmp_path, "12345678")
    with pytest.raises(TokenTrouble, match="KEY-TOKEN: the folder holds a token already"):
        make(tmp_path, "12345678")
    token = Pkcs11Token(read_binding(made.binding_toml.encode()), made.uri)
    assert len(token.probe(made.certificate_pem).keys) == 1
    token.close()


@refuses("KEY-TOKEN")
def test_a_configuration_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "softhsm2.conf").write_text("somebody's")
    with pytest.raises(TokenTrouble, match="KEY-TOKEN: the folder holds a token already"):
        make(tmp_path, "12345678")
    assert (tmp_path / "softhsm2.conf").read_text() == "somebody's"


@refuses("MED-WRITE")
def test_a_folder_that_cannot_be_made_is_a_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaTrouble, match=r"MED-WRITE: .*the folder cannot be made"):
        make(tmp_path / "file" / "below", "12345678")


@refuses("MED-WRITE")
@pytest.mark.parametrize("kind", ["file", "pipe", "ring"])
def test_what_is_no_folder_is_not_said_to_hold_a_token(tmp_path: Path, kind: str) -> None:
    """A ring of links was a traceback, a file "holds a token already"."""
    place = tmp_path / "place"
    match kind:
        case "file":
            place.touch()
        case "pipe":
            os.mkfifo(place)
        case _:
            place.symlink_to("other")
            (tmp_path / "other").symlink_to("place")
    with pytest.raises(MediaTrouble, match=r"MED-WRITE: .*the folder cannot be made"):
        make(place, "12345678")


@refuses("KEY-TOKEN")
def test_a_token_that_did_not_come_to_be_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was left on a full disk was taken for a token by the next try."""
    monkeypatch.setattr(provision, "TOKEN_LABEL", "x" * 33)  # PKCS #11: at most 32 bytes
    with pytest.raises(TokenTrouble, match="KEY-TOKEN: softhsm2-util failed"):
        make(tmp_path, "12345678")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert make(tmp_path, "12345678").uri.startswith("pkcs11:token=rehearsal;")


@refuses("KEY-REFUSED")
def test_a_pin_that_the_token_does_not_take_makes_no_key(tmp_path: Path) -> None:
    with pytest.raises(TokenTrouble, match="KEY-REFUSED: no key was made"):
        make(tmp_path, "12")


@refuses("KEY-MODULE")
def test_without_softhsm_there_is_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "find_module", lambda: None)
    with pytest.raises(TokenTrouble, match="KEY-MODULE: SoftHSM"):
        make(tmp_path, "12345678")
    assert list(tmp_path.iterdir()) == []
