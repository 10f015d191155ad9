"""`token init` makes a key inside a token, takes nobody's place, and says how to use it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from marks import accepts, refuses

from ceremony.errors import Refused
from ceremony.practice import require_signer
from ceremony.preflight import preflight
from ceremony.types import Mode, refusals
from hsm.token import Pkcs11Token
from tui.commands.dispatch import dispatch

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

PIN = "heron-4082"  # in no serial number, digest or path, as digits alone may be
Init = Callable[..., tuple[int, str]]


@pytest.fixture
def init(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Init:
    def init(*words: object, pin: str = PIN) -> tuple[int, str]:
        reader, writer = os.pipe()
        os.write(writer, pin.encode() + b"\n")
        os.close(writer)
        words = (*words, "--pin-fd", reader, "--output", tmp_path / "signer.pem")
        status = dispatch(["token", "init", *map(str, words)])
        os.close(reader)
        said = capsys.readouterr()
        assert pin not in said.out + said.err
        return status, said.out + said.err

    return init


def machine_of(bench: Bench, folder: Path) -> Path:
    environment = "".join(f"{name} = {json.dumps(v)}\n" for name, v in bench.binding.environment)
    path = folder / "machine.toml"
    module = json.dumps(str(bench.binding.module))
    path.write_text(f"module = {module}\n[environment]\n{environment}")
    return path


def test_a_practice_token_is_made_in_a_new_folder(tmp_path: Path, init: Init) -> None:
    status, said = init("--softhsm", tmp_path / "token", "--days", 30)
    assert status == 0
    assert "for practice only" in said
    assert "would be taken" in said
    machine, certificate = tmp_path / "token/machine.toml", tmp_path / "signer.pem"
    words = ("token", "--machine", str(machine), "--cert", str(certificate))
    assert dispatch([*words]) == 0
    assert init("--softhsm", tmp_path / "token")[0] == 1  # signer.pem is there


@accepts("KEY-EXISTS")
@pytest.mark.parametrize("kind", ["rsa2048", "rsa3072", "p256", "p384"])
def test_a_key_is_made_on_the_token_that_is_named_and_signs(
    bench: Bench, tmp_path: Path, init: Init, kind: str
) -> None:
    machine, named = machine_of(bench, tmp_path), bench.uri.partition(";object")[0]
    words = ("--machine", machine, "--kind", kind, "--label", "release 2026")
    status, said = init(named, *words, "--subject", "CN=Release,O=Example", pin=bench.pin)
    read = x509.load_pem_x509_certificate((tmp_path / "signer.pem").read_bytes())
    assert read.subject.rfc4514_string() == "CN=Release,O=Example"
    assert (status, "KEY-SIZE" in said) == ((1, True) if kind[0] == "p" else (0, False))
    key = read.public_key()
    size = key.key_size if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else 0
    assert str(size) in kind
    purposes = read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CODE_SIGNING]
    assert not read.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    (uri,) = re.findall(r"URI +(pkcs11:\S+)", said)
    der = (tmp_path / "signer.pem").read_bytes()
    token = Pkcs11Token(bench.binding, uri)
    token.probe(der)
    after = token.login(bench.typed()).evidence
    assert after is not None
    found = refusals(preflight(after, der, datetime.now(UTC), Mode.PRODUCTION))
    assert {f.rule for f in found} <= {"KEY-SIZE"}
    assert after.keys[0].attribute("NEVER_EXTRACTABLE") == "true"
    assert after.possession == "proved"
    token.close()


@accepts("APP-PRACTICE")
def test_a_key_to_rehearse_with_says_so_itself(bench: Bench, tmp_path: Path, init: Init) -> None:
    machine, named = machine_of(bench, tmp_path), bench.uri.partition(";object")[0]
    words = (named, "--machine", machine, "--label", "practice", "--rehearsal")
    assert init(*words, pin=bench.pin)[0] == 0
    made = (tmp_path / "signer.pem").read_bytes()
    require_signer(Mode.REHEARSAL, made)
    with pytest.raises(Refused, match="APP-PRACTICE"):
        require_signer(Mode.PRODUCTION, made)


@refuses("APP-PRACTICE")
def test_an_authority_does_not_say_what_a_key_is_for(
    bench: Bench, tmp_path: Path, init: Init
) -> None:
    machine, named = machine_of(bench, tmp_path), bench.uri.partition(";object")[0]
    status, said = init(named, "--machine", machine, "--csr", "--rehearsal", pin=bench.pin)
    assert (status, "APP-PRACTICE" in said) == (1, True)
    assert not (tmp_path / "signer.pem").exists()


def test_a_request_is_one_that_openssl_and_a_ca_take(
    bench: Bench, tmp_path: Path, init: Init
) -> None:
    machine, named = machine_of(bench, tmp_path), bench.uri.partition(";object")[0]
    status, said = init(named, "--machine", machine, "--csr", "--label", "new", pin=bench.pin)
    assert (status, "request" in said) == (0, True)
    command = ["openssl", "req", "-in", str(tmp_path / "signer.pem"), "-verify", "-noout", "-text"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Code Signing" in done.stdout
    assert "Digital Signature" in done.stdout


@refuses("KEY-EXISTS")
def test_nothing_on_the_token_is_overwritten(bench: Bench, tmp_path: Path, init: Init) -> None:
    machine, named = machine_of(bench, tmp_path), bench.uri.partition(";object")[0]
    for words in (("--label", "uki"), ("--label", "other", "--id", "01")):
        status, said = init(named, "--machine", machine, *words, pin=bench.pin)
        assert (status, "KEY-EXISTS" in said) == (3, True)
        assert not (tmp_path / "signer.pem").exists()
    token = bench.token()
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    token.close()


@refuses("KEY-PIN-WRONG", "KEY-PIN-ENTRY", "KEY-TOKEN", "KEY-URI", "KEY-CERT-FORM", "MED-OUTPUT")
def test_what_makes_no_key_is_refused_by_name(bench: Bench, tmp_path: Path, init: Init) -> None:
    machine, named = machine_of(bench, tmp_path), bench.uri.partition(";object")[0]
    for words, pin, rule in (
        ((named, "--machine", machine, "--label", "x"), "wrong-pin-1", "KEY-PIN-WRONG"),
        ((named, "--machine", machine, "--label", "x"), "~7~", "KEY-PIN-ENTRY"),
        (("pkcs11:token=nobody", "--machine", machine, "--label", "x"), PIN, "KEY-TOKEN"),
        (("pkcs11:object=x", "--machine", machine, "--label", "x"), PIN, "KEY-URI"),
        ((named, "--machine", machine, "--label", "a/b"), PIN, "KEY-URI"),
        ((named, "--machine", machine, "--subject", "nonsense"), PIN, "KEY-CERT-FORM"),
        (("--machine", machine), PIN, "KEY-URI"),
    ):
        status, said = init(*words, pin=pin)
        assert status in (1, 3)
        assert rule in said, (words, said)
        assert not (tmp_path / "signer.pem").exists()
    (tmp_path / "signer.pem").write_bytes(b"somebody's")
    status, said = init(named, "--machine", machine, "--label", "x", pin=bench.pin)
    assert (status, "MED-OUTPUT" in said) == (1, True)
    assert (tmp_path / "signer.pem").read_bytes() == b"somebody's"


@refuses("MED-FOLDER", "MED-WRITE")
def test_no_key_is_made_where_its_file_cannot_be_written(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key stayed on the token, and no file said which it was."""
    machine, named = machine_of(bench, tmp_path), bench.uri.partition(";object")[0]
    places = {tmp_path / "absent": "MED-FOLDER", Path("/proc/self"): "MED-WRITE"}
    for place, rule in places.items():
        words = ("--machine", machine, "--label", "orphan", "--output", place / "signer.pem")
        with (tmp_path / "pin").open("w+") as pin:
            pin.write(f"{bench.pin}\n")
            pin.seek(0)
            status = dispatch(
                ["token", "init", *map(str, (named, *words, "--pin-fd", pin.fileno()))]
            )
        assert (status, rule in capsys.readouterr().err) == (3, True)
    token = bench.token()
    labels = {key.attribute("LABEL") for key in token.probe(bench.certificate).keys}
    token.close()
    assert "orphan" not in labels
