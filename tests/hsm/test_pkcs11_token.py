"""The real SoftHSM through the real child process: the way that works, and every other."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pkcs11._pkcs11
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from marks import accepts, refuses

from ceremony.errors import OutOfOrder, Refused, TokenTrouble
from ceremony.preflight import preflight, read_certificate, signing_key
from ceremony.token import PinState, TokenEvidence
from ceremony.types import Mode, refusals
from hsm.child import TokenRefused
from hsm.token import Pkcs11Token

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
Certify = Callable[..., bytes]


def refused(evidence: TokenEvidence | None, certificate: bytes) -> set[str]:
    assert evidence is not None
    findings = preflight(evidence, certificate, NOW, Mode.PRODUCTION)
    return {finding.rule for finding in refusals(findings)}


@accepts("KEY-TOKEN", "KEY-MODULE", "KEY-CHILD", "KEY-PIN-WRONG", "KEY-POSSESSION",
         "KEY-SIGNATURE", "KEY-LOST", "KEY-REFUSED", "KEY-MATCH")  # fmt: skip
def test_probe_login_and_sign(bench: Bench, token: Pkcs11Token) -> None:
    before = token.probe(bench.certificate)
    assert before.stage == "before-login"
    assert [key.found_as for key in before.keys] == ["public key"]
    assert refused(before, bench.certificate) == set()

    pin = bench.typed()
    result = token.login(pin)
    assert set(pin) == {0}
    assert (result.outcome, result.pin_state) == ("ok", "ok")
    after = result.evidence
    assert after is not None
    assert (after.stage, after.possession) == ("after-login", "proved")
    assert refused(after, bench.certificate) == set()
    assert after.keys[0].found_as == "private key"
    assert after.keys[0].attribute("NEVER_EXTRACTABLE") == "true"
    assert after == token.probe(bench.certificate)

    digest = "5a" * 32
    signed = token.sign(bench.request(digest))
    assert signed.outcome == "signed"
    key = signing_key(read_certificate(bench.certificate))
    assert isinstance(key, rsa.RSAPublicKey)
    sha256 = Prehashed(hashes.SHA256())
    key.verify(bytes.fromhex(signed.signature), bytes.fromhex(digest), padding.PKCS1v15(), sha256)
    assert token.sign(bench.request(digest, Mode.PRODUCTION)) == signed


def test_the_evidence_names_module_library_and_token(bench: Bench, token: Pkcs11Token) -> None:
    evidence = token.probe(bench.certificate)
    assert evidence.module_path == str(bench.binding.module)
    assert len(evidence.module_sha256) == 64
    assert (evidence.token_label, evidence.library_manufacturer) == ("rehearsal", "SoftHSM")
    assert f"serial={evidence.token_serial};" in bench.uri
    assert {"LOGIN_REQUIRED", "TOKEN_INITIALIZED"} <= set(evidence.token_flags)
    assert {"CKM_RSA_PKCS", "CKM_ECDSA"} <= set(evidence.mechanisms)


@refuses("KEY-PIN-WRONG")
def test_a_wrong_pin_is_tried_once_and_the_right_one_still_works(
    bench: Bench, token: Pkcs11Token
) -> None:
    token.probe(bench.certificate)
    first = token._child
    wrong = bytearray(b"wrong-pin")
    result = token.login(wrong)
    assert token._child is not first
    assert set(wrong) == {0}
    assert (result.outcome, result.pin_state, result.evidence) == ("wrong-pin", "count-low", None)
    unsigned = token.sign(bench.request())
    assert (unsigned.outcome, unsigned.rule) == ("failed", "KEY-LOST")
    assert token.login(bench.typed()).outcome == "ok"
    assert token.sign(bench.request()).outcome == "signed"


@pytest.mark.parametrize("pin", [b"", b"a\0b", b"t\xc3\xa9st", b"x" * 256, b"line\n"])
def test_what_cannot_be_a_pin_is_not_sent(bench: Bench, token: Pkcs11Token, pin: bytes) -> None:
    token.probe(bench.certificate)
    result = token.login(bytearray(pin))
    assert (result.outcome, result.pin_state) == ("cancelled", "ok")
    assert token.login(bench.typed()).outcome == "ok"


def test_steps_out_of_order_are_the_drivers_fault(bench: Bench, token: Pkcs11Token) -> None:
    pin = bench.typed()
    with pytest.raises(OutOfOrder):
        token.login(pin)
    assert set(pin) == {0}
    with pytest.raises(OutOfOrder):
        token.sign(bench.request())
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    with pytest.raises(OutOfOrder):
        token.login(bench.typed())


def test_a_request_for_another_key_or_mechanism_is_not_asked(
    bench: Bench, token: Pkcs11Token
) -> None:
    token.probe(bench.certificate)
    token.login(bench.typed())
    other = replace(bench.request(), spki_sha256="00" * 32)
    assert token.sign(other).rule == "KEY-MATCH"
    assert token.sign(replace(bench.request(), mechanism="CKM_ECDSA")).rule == "KEY-MECHANISM"
    assert token.sign(bench.request()).outcome == "signed"


def test_after_close_the_token_serves_again(bench: Bench, token: Pkcs11Token) -> None:
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    token.close()
    assert token.sign(bench.request()).outcome == "failed"
    assert token.probe(bench.certificate).stage == "before-login"
    assert token.login(bench.typed()).outcome == "ok"


@refuses("KEY-REFUSED")
@pytest.mark.parametrize("data", ["", "ab" * 32, "3021300906052b0e03021a05000414" + "ab" * 20])
def test_the_child_signs_nothing_but_a_sha256_digest_info(
    bench: Bench, token: Pkcs11Token, data: str
) -> None:
    token.probe(bench.certificate)
    token.login(bench.typed())
    child = token._child
    assert child is not None
    with pytest.raises(TokenRefused, match="only a SHA-256 digest is signed"):
        child.ask("sign", 5, mechanism="CKM_RSA_PKCS", data=data, length=0, parts="")


@refuses("KEY-MATCH")
def test_two_matching_keys_are_refused_and_sign_nothing(
    bench: Bench, rsa_key: rsa.RSAPrivateKey, certify: Certify
) -> None:
    bench.arrange(rsa_key, key_id="02")
    bench.arrange(rsa_key, key_id="03", public=False)
    bench = bench.with_certificate(certify(rsa_key))
    token = bench.token()
    token.probe(bench.certificate)
    result = token.login(bench.typed())
    assert result.outcome == "ok"
    assert refused(result.evidence, bench.certificate) >= {"KEY-MATCH", "KEY-POSSESSION"}
    assert token.sign(bench.request()).rule == "KEY-MATCH"
    token.close()


@refuses("KEY-MATCH")
def test_a_swapped_certificate_finds_no_key(
    bench: Bench, rsa_key: rsa.RSAPrivateKey, certify: Certify
) -> None:
    bench = bench.with_certificate(certify(rsa_key))
    token = bench.token()
    assert token.probe(bench.certificate).keys == ()
    result = token.login(bench.typed())
    assert refused(result.evidence, bench.certificate) == {"KEY-MATCH", "KEY-POSSESSION"}
    assert token.sign(bench.request()).rule == "KEY-MATCH"
    token.close()


@pytest.mark.parametrize(
    ("attributes", "rules"),
    [
        ({}, {"KEY-SENSITIVE", "KEY-EXTRACTABLE"}),  # imported: never was inside only
        ({"EXTRACTABLE": True}, {"KEY-SENSITIVE", "KEY-EXTRACTABLE"}),
        ({"SIGN": False}, {"KEY-SENSITIVE", "KEY-EXTRACTABLE", "KEY-SIGN", "KEY-POSSESSION"}),
    ],
)
@refuses("KEY-SENSITIVE", "KEY-EXTRACTABLE", "KEY-SIGN")
def test_imported_extractable_and_non_signing_keys_are_refused(
    bench: Bench,
    rsa_key: rsa.RSAPrivateKey,
    certify: Certify,
    attributes: dict[str, bool],
    rules: set[str],
) -> None:
    bench.arrange(rsa_key, attributes=attributes)
    bench = bench.with_certificate(certify(rsa_key))
    token = bench.token()
    token.probe(bench.certificate)
    result = token.login(bench.typed())
    assert refused(result.evidence, bench.certificate) == rules
    if "SIGN" in attributes:
        assert token.sign(bench.request()).rule == "KEY-SIGN"
    token.close()


@pytest.mark.parametrize("halves", [1, 0])
def test_a_key_without_its_public_half_is_found_after_login(
    bench: Bench, rsa_key: rsa.RSAPrivateKey, certify: Certify, halves: int
) -> None:
    bench.arrange(rsa_key, public=halves == 1)
    bench = bench.with_certificate(certify(rsa_key))
    token = bench.token()
    assert len(token.probe(bench.certificate).keys) == halves
    result = token.login(bench.typed())
    assert result.evidence is not None
    assert len(result.evidence.keys) == 1
    assert token.sign(bench.request()).outcome == "signed"
    token.close()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_an_ec_key_is_found_through_its_other_half_and_signs(
    bench: Bench, certify: Certify, curve: ec.EllipticCurve
) -> None:
    key = ec.generate_private_key(curve)
    bench.arrange(key, key_id="07")
    bench = bench.with_certificate(certify(key))
    token = bench.token()
    token.probe(bench.certificate)
    result = token.login(bench.typed())
    assert result.evidence is not None
    assert result.evidence.possession == "proved"
    assert refused(result.evidence, bench.certificate) >= {"KEY-SIZE"}
    signed = token.sign(bench.request("77" * 32))
    sha256 = ec.ECDSA(Prehashed(hashes.SHA256()))
    key.public_key().verify(bytes.fromhex(signed.signature), bytes.fromhex("77" * 32), sha256)
    token.close()


@accepts("KEY-PIN-USE")
@refuses("KEY-PIN-USE")
def test_a_key_that_asks_for_its_pin_at_each_signature_gets_it_typed_each_time(
    bench: Bench, rsa_key: rsa.RSAPrivateKey, certify: Certify
) -> None:
    bench.arrange(rsa_key, attributes={"ALWAYS_AUTHENTICATE": True})
    bench = bench.with_certificate(certify(rsa_key))
    token = bench.token()
    token.probe(bench.certificate)
    typed: list[bytearray] = []

    def again(_state: PinState) -> bytearray:
        typed.append(bench.typed())
        return typed[-1]

    result = token.login(bench.typed(), use=again)
    assert result.evidence is not None
    assert result.evidence.keys[0].always_authenticate
    assert result.evidence.possession == "proved"
    assert token.sign(bench.request(), again).outcome == "signed"
    assert token.sign(bench.request(), again).outcome == "signed"
    assert typed == [bytearray(len(bench.pin))] * 3, "each was overwritten"
    untyped = token.sign(bench.request())
    assert (untyped.outcome, untyped.rule) == ("failed", "KEY-PIN-USE")
    token.probe(bench.certificate)
    with pytest.raises(TokenTrouble, match="KEY-PIN-USE: nobody is there"):
        token.login(bench.typed())
    token.close()


def test_a_pin_that_nobody_types_is_kept_for_one_signature(
    bench: Bench, rsa_key: rsa.RSAPrivateKey, certify: Certify
) -> None:
    bench.arrange(rsa_key, attributes={"ALWAYS_AUTHENTICATE": True})
    bench = bench.with_certificate(certify(rsa_key))
    token = bench.token()
    token.probe(bench.certificate)
    assert token.login(bench.typed(), keep=True).outcome == "ok"
    assert token.sign(bench.request()).outcome == "signed"
    again = token.sign(bench.request())
    assert (again.outcome, again.rule) == ("failed", "KEY-REFUSED"), "it was overwritten"
    token.close()


@pytest.mark.parametrize("typed", [None, b"12\n", b""], ids=["cancelled", "no-pin", "empty"])
def test_a_use_without_a_pin_sends_none_and_logs_out(
    bench: Bench, rsa_key: rsa.RSAPrivateKey, certify: Certify, typed: bytes | None
) -> None:
    def again(_state: PinState) -> bytearray | None:
        return None if typed is None else bytearray(typed)

    bench.arrange(rsa_key, attributes={"ALWAYS_AUTHENTICATE": True})
    bench = bench.with_certificate(certify(rsa_key))
    token = bench.token()
    token.probe(bench.certificate)
    with pytest.raises(TokenTrouble, match=r"KEY-PIN-USE: .*no try was spent"):
        token.login(bench.typed(), use=again)
    token.probe(bench.certificate)
    assert token.login(bench.typed(), use=lambda _: bench.typed()).outcome == "ok"
    result = token.sign(bench.request(), again)
    assert (result.outcome, result.rule) == ("failed", "KEY-PIN-USE")
    assert token._child is None
    token.close()


@refuses("KEY-URI")
@pytest.mark.parametrize("more", ["object=other", "object=uki;id=%02"])
def test_a_key_that_is_not_the_one_the_uri_names_is_refused(bench: Bench, more: str) -> None:
    token = Pkcs11Token(bench.binding, bench.uri.replace("object=uki", more))
    token.probe(bench.certificate)
    with pytest.raises(TokenTrouble, match="KEY-URI: the key's URI names another"):
        token.login(bench.typed())
    token.close()


@refuses("KEY-TOKEN")
@pytest.mark.parametrize("uri", ["pkcs11:token=other", "pkcs11:token=rehearsal;serial=00"])
def test_no_fitting_token_is_a_trouble(bench: Bench, uri: str) -> None:
    token = Pkcs11Token(bench.binding, uri)
    with pytest.raises(TokenTrouble, match="KEY-TOKEN: no token fits"):
        token.probe(bench.certificate)
    token.close()


@refuses("KEY-TOKEN")
def test_two_tokens_with_the_key_are_refused_until_the_uri_tells_them_apart(
    bench: Bench, rsa_key: rsa.RSAPrivateKey, certify: Certify
) -> None:
    bench.second_token("second")
    bench.arrange(rsa_key)
    bench.arrange(rsa_key, token="second")
    certificate = certify(rsa_key)
    token = Pkcs11Token(bench.binding, "pkcs11:manufacturer=SoftHSM%20project")
    with pytest.raises(TokenTrouble, match="KEY-TOKEN: 2 tokens fit"):
        token.probe(certificate)
    token = Pkcs11Token(bench.binding, "pkcs11:token=second")
    assert token.probe(certificate).token_label == "second"
    token.close()


@refuses("KEY-TOKEN")
def test_of_two_tokens_the_one_that_shows_the_key_is_taken(
    bench: Bench, rsa_key: rsa.RSAPrivateKey, certify: Certify
) -> None:
    bench.second_token("rehearsal")
    token = Pkcs11Token(bench.binding, "pkcs11:token=rehearsal")
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    with pytest.raises(TokenTrouble, match="KEY-TOKEN: 2 tokens fit"):
        token.probe(certify(rsa_key))


@refuses("KEY-CERT-FORM")
def test_a_broken_certificate_is_refused_before_anything_is_loaded(bench: Bench) -> None:
    with pytest.raises(Refused, match="KEY-CERT-FORM"):
        bench.token().probe(b"no certificate")


@refuses("KEY-LOST")
def test_a_token_removed_before_login_signs_nothing(bench: Bench) -> None:
    token = bench.token()
    token.probe(bench.certificate)
    shutil.rmtree(bench.folder / "tokens")
    with pytest.raises(TokenTrouble):
        token.login(bench.typed())
    assert token.sign(bench.request()).outcome == "failed"
    with pytest.raises(TokenTrouble):
        token.probe(bench.certificate)


@refuses("KEY-LOST")
def test_a_token_removed_after_login_leaves_an_unknown_outcome_and_can_come_back(
    bench: Bench, tmp_path: Path
) -> None:
    token = bench.token()
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    tokens = bench.folder / "tokens"
    tokens.rename(tmp_path / "pulled")
    lost = token.sign(bench.request())
    assert (lost.outcome, lost.rule, lost.signature) == ("unknown", "KEY-LOST", "")
    (tmp_path / "pulled").rename(tokens)
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    assert token.sign(bench.request()).outcome == "signed"
    token.close()


@refuses("KEY-MODULE")
def test_files_that_cannot_be_this_machines_module_are_refused(
    bench: Bench, tmp_path: Path
) -> None:
    real = bench.binding.module.read_bytes()
    text, other, program, empty = (tmp_path / name for name in ("t.so", "o.so", "p.so", "e.so"))
    text.write_text("not a module")
    other.write_bytes(real[:18] + b"\xf3\x00" + real[20:])  # EM_RISCV
    program.write_bytes(real[:16] + b"\x04\x00" + real[18:])  # ET_CORE
    empty.write_bytes(b"")
    for path, fact in (
        (tmp_path / "missing.so", "there is no file"),
        (tmp_path, "there is no file"),
        (text, "is not an ELF file"),
        (empty, "is not an ELF file"),
        (other, "was built for another machine"),
        (program, "is not a shared object"),
    ):
        token = Pkcs11Token(replace(bench.binding, module=path), bench.uri)
        with pytest.raises(TokenTrouble, match=f"KEY-MODULE: .*{fact}"):
            token.probe(bench.certificate)


@refuses("KEY-MODULE")
def test_a_library_without_pkcs11_does_not_load(bench: Bench) -> None:
    library = Path(pkcs11._pkcs11.__file__)
    token = Pkcs11Token(replace(bench.binding, module=library), bench.uri)
    with pytest.raises(TokenTrouble, match="KEY-MODULE: does not load"):
        token.probe(bench.certificate)


@refuses("KEY-CHILD")
def test_a_module_cut_short_crashes_its_own_process_only(bench: Bench, tmp_path: Path) -> None:
    cut = tmp_path / "cut.so"
    cut.write_bytes(bench.binding.module.read_bytes()[:4096])
    token = Pkcs11Token(replace(bench.binding, module=cut), bench.uri)
    with pytest.raises(TokenTrouble, match=r"KEY-(CHILD|MODULE): "):
        token.probe(bench.certificate)


@refuses("KEY-MODULE")
def test_a_module_that_is_replaced_between_measuring_and_loading_is_refused(
    bench: Bench, tmp_path: Path
) -> None:
    module = tmp_path / "module.so"
    shutil.copyfile(bench.binding.module, module)
    copied = replace(bench, binding=replace(bench.binding, module=module))
    token = copied.token()
    token.probe(bench.certificate)
    other = tmp_path / "other.so"
    other.write_bytes(module.read_bytes() + b"\0")
    other.replace(module)
    with pytest.raises(TokenTrouble, match=r"KEY-MODULE: .*it was replaced"):
        token.probe(bench.certificate)
    assert isinstance(token.probe(bench.certificate), TokenEvidence)
    token.close()
