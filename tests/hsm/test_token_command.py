"""`token` shows every token without a PIN, and says what a ceremony would refuse and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rehearsing
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from marks import accepts, refuses

from tui.commands.dispatch import dispatch
from tui.rehearsal.prepare import Prepared

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

TODAY = datetime.now(UTC)
Certify = Callable[..., bytes]


@pytest.fixture
def ask(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    machine = tmp_path / "machine.toml"
    environment = "".join(f"{name} = {json.dumps(v)}\n" for name, v in bench.binding.environment)
    module = json.dumps(str(bench.binding.module))
    machine.write_text(f"module = {module}\n[environment]\n{environment}")

    def ask(*words: object, certificate: bytes = b"") -> tuple[int, str]:
        if certificate:
            (tmp_path / "signer.pem").write_bytes(certificate)
            words += ("--cert", tmp_path / "signer.pem")
        status = dispatch(["token", "--machine", str(machine), *map(str, words)])
        said = capsys.readouterr()
        return status, said.out + said.err

    return ask


def preflights(said: str) -> list[dict[str, Any]]:
    return [each for token in json.loads(said)["tokens"] for each in token["preflight"]]


def test_every_token_is_shown_and_no_pin_is_asked(
    bench: Bench, ask: Callable[..., tuple[int, str]]
) -> None:
    bench.second_token("another")
    status, said = ask()
    assert status == 0
    assert "Token         rehearsal" in said
    assert "Token         another" in said
    assert "not initialised" in said
    assert "public key  uki, id 01, RSA 2048" in said
    assert said.count("name one with --cert or --policy") == 2
    named = bench.uri.partition(";object")[0]
    assert f"URI         {named}" in said
    status, said = ask(named)
    assert "another" not in said


@refuses("KEY-CERT-EKU", "KEY-CERT-USAGE", "KEY-CERT-DATES")
def test_what_would_be_refused_is_told_with_the_reason_and_the_next_step(
    bench: Bench, certify: Certify, rsa_key: rsa.RSAPrivateKey, ask: Callable[..., tuple[int, str]]
) -> None:
    bench.arrange(rsa_key)
    days = {"first": TODAY - timedelta(days=2), "last": TODAY + timedelta(days=2)}
    old = {"first": TODAY - timedelta(days=2), "last": TODAY - timedelta(days=1)}
    new = {"first": TODAY + timedelta(days=1), "last": TODAY + timedelta(days=2)}
    tls = (ExtendedKeyUsageOID.SERVER_AUTH,)
    status, said = ask(certificate=certify(rsa_key, **days))
    assert (status, "would be taken" in said) == (0, True)
    for rule, certificate in (
        ("KEY-CERT-EKU", certify(rsa_key, **days, purposes=tls)),
        ("KEY-CERT-USAGE", certify(rsa_key, **days, usage="key_encipherment")),
        ("KEY-CERT-DATES", certify(rsa_key, **old)),
        ("KEY-CERT-DATES", certify(rsa_key, **new)),
    ):
        status, said = ask(certificate=certificate)
        assert status == 1
        assert "WOULD BE REFUSED" in said
        assert f"refuse  {rule}: " in said
        assert "next: " in said


@refuses("KEY-CERT-CHAIN")
def test_a_certificate_that_does_not_belong_above_the_signers_is_told(
    bench: Bench, certify: Certify, rsa_key: rsa.RSAPrivateKey, ask: Callable[..., tuple[int, str]]
) -> None:
    bench.arrange(rsa_key)
    days = {"first": TODAY - timedelta(days=2), "last": TODAY + timedelta(days=2)}
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    both = certify(rsa_key, **days) + certify(other, **days)
    status, said = ask("--json", certificate=both)
    assert status == 1
    (judged,) = preflights(said)
    rules = [f["rule"] for f in judged["findings"] if f["severity"] == "refuse"]
    assert rules == ["KEY-CERT-CHAIN"]


@refuses("KEY-URI", "KEY-TOKEN", "KEY-MODULE", "KEY-BINDING")
def test_what_cannot_be_looked_at_is_refused_by_name(
    tmp_path: Path,
    ask: Callable[..., tuple[int, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, said = ask("pkcs11:token=rehearsal?pin-value=1234")
    assert (status, "KEY-URI" in said, "1234" in said) == (1, True, False)
    status, said = ask("pkcs11:token=nobody")
    assert (status, "KEY-TOKEN: none of" in said) == (3, True)
    for text, rule in (('module = "/nonexistent.so"', "KEY-MODULE"), ("module = 3", "KEY-BINDING")):
        (tmp_path / "other.toml").write_text(text)
        assert dispatch(["token", "--machine", str(tmp_path / "other.toml")]) in (1, 3)
        assert rule in capsys.readouterr().err


SAID = {
    "for-rehearsals": ("rehearsal = true\n", ""),
    "says-neither": ("", "KEY-BINDING"),
    "pins-another": (f'policy_sha256 = "{"0" * 64}"\n', "APP-POLICY"),
    "pins-it-for-a-practice-key": (rehearsing.PINNED, "APP-PRACTICE"),
}


@accepts("APP-POLICY", "APP-PRACTICE")
@refuses("KEY-BINDING", "APP-POLICY", "APP-PRACTICE")
@pytest.mark.parametrize("case", SAID)
def test_a_binding_that_does_not_fit_the_policy_is_told_days_before(
    prepared: Prepared, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line, rule = SAID[case]
    if prepared.key_source != "SoftHSM token":
        pytest.skip("SoftHSM is not installed")
    rehearsing.bind(prepared, line)
    words = ["--machine", str(prepared.machine), "--policy", str(prepared.policy)]
    assert dispatch(["token", *words]) == (1 if rule else 0)
    said = capsys.readouterr().out
    assert [one for one in ("KEY-BINDING", "APP-POLICY", "APP-PRACTICE") if one in said] == (
        [rule] if rule else []
    )
