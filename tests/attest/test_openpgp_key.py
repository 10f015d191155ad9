"""OpenPGP public keys are read as gpg reads them; what gives no trust is refused or left out."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from attest.gpg_home import Gpg, HandMade, mpi, packet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from marks import accepts, refuses

from ceremony.attest.openpgp_certificate import MOST_CHECKS
from ceremony.attest.openpgp_key import parse_openpgp_key, read_openpgp_key
from ceremony.attest.openpgp_signature import CREATED, read_signature
from ceremony.attest.openpgp_wire import Packet, read_packets
from ceremony.errors import Refused
from ceremony.keys import parse_spki_der

# The start of an Ed25519 key packet in the old form, up to its point.
ED25519 = b"\x04" + bytes(4) + b"\x16\x09" + bytes.fromhex("2b06010401da470f01")
KINDS = {
    "ed25519": "ed25519",
    "rsa2048": "rsa-2048",
    "nistp256": "ecdsa-p256-sha256",
    "nistp384": "ecdsa-p384-sha384",
    "nistp521": "ecdsa-p521-sha512",
}


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with Gpg.made() as made:
        yield made


@pytest.fixture(scope="module")
def subkeyed(gpg: Gpg) -> str:
    """Return a key with a signing, an RSA signing, an encrypting and a certifying subkey."""
    fingerprint = gpg.key("Sub Keyed <sub@keyed>", "ed25519")
    for kind, use in (("ed25519", "sign"), ("rsa2048", "sign"), ("cv25519", "encr")):
        gpg("--quick-add-key", fingerprint, kind, use, "never")
    gpg("--quick-add-key", fingerprint, "ed25519", "auth", "never")
    return fingerprint


def packets(data: bytes) -> list[Packet]:
    return list(read_packets(data, "ATT-OPENPGP-KEY", 100))


def joined(parts: list[Packet]) -> bytes:
    return b"".join(packet(part.tag, part.body) for part in parts)


@accepts("ATT-OPENPGP-KEY", "ATT-OPENPGP-REVOKED")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_in_every_wrapping(gpg: Gpg, kind: str) -> None:
    fingerprint = gpg.key(f"{kind} <{kind}@x>", kind)
    key = read_openpgp_key(gpg.export(fingerprint))
    assert key.fingerprint == fingerprint
    assert key.key_ids == (fingerprint,)
    assert [each.algorithm for each in key.keys] == [KINDS[kind]]
    assert key.user_ids == (f"{kind} <{kind}@x>",)
    assert key.notes == ()
    armoured = gpg.export(fingerprint, "--armor").decode()
    assert parse_openpgp_key(armoured) == key
    assert parse_openpgp_key(armoured.replace("\n", "\r\n")) == key
    assert parse_openpgp_key(base64.b64encode(gpg.export(fingerprint)).decode()) == key


def test_the_newer_ed25519_form_is_the_same_key() -> None:
    private = Ed25519PrivateKey.generate()
    spki = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert read_openpgp_key(HandMade(private).key).keys == (parse_spki_der(spki),)


@accepts("ATT-OPENPGP-KEY")
def test_signing_subkeys_stand_behind_the_primary_and_no_others(gpg: Gpg, subkeyed: str) -> None:
    key = read_openpgp_key(gpg.export(subkeyed))
    assert key.key_ids == tuple(gpg.fingerprints(subkeyed)[:3])
    assert [each.algorithm for each in key.keys] == ["ed25519", "ed25519", "rsa-2048"]


def test_an_expired_key_is_read_for_the_policy_decides(gpg: Gpg) -> None:
    fingerprint = gpg.key("Old <old@x>", "ed25519", "2d")
    assert read_openpgp_key(gpg.export(fingerprint)).fingerprint == fingerprint


def test_user_ids_are_shown_escaped_and_only_those_the_key_itself_signed(gpg: Gpg) -> None:
    parts = packets(gpg.export(gpg.key("Z\u00e9 \u202e <z@x>", "ed25519")))
    assert read_openpgp_key(joined(parts)).user_ids == ("Z\\xe9 \\u202e <z@x>",)
    mine = next(at for at, part in enumerate(parts) if part.tag == 13)
    parts[mine] = Packet(13, b"Someone Else")
    forged = read_openpgp_key(joined(parts))
    assert forged.user_ids == ()
    assert "Someone Else" in forged.notes[0]


def test_a_subkey_that_another_key_bound_or_that_did_not_sign_back_is_left_out(
    gpg: Gpg, subkeyed: str
) -> None:
    parts = packets(gpg.export(subkeyed))
    other = packets(gpg.export(gpg.key("Thief <thief@x>", "ed25519")))
    at = next(at for at, part in enumerate(parts) if part.tag == 14)
    stolen = read_openpgp_key(joined([*other, *parts[at : at + 2]]))
    assert len(stolen.keys) == 1
    binding = bytearray(parts[at + 1].body)
    back = bytes(binding).rindex(b"\x04\x19\x16")
    binding[back + 1] = 0x18
    unbacked = read_openpgp_key(joined([*parts[: at + 1], Packet(2, bytes(binding))]))
    assert len(unbacked.keys) == 1
    assert "did not sign back" in unbacked.notes[0]
    whole = read_openpgp_key(joined(parts[: at + 2]))
    assert len(whole.keys) == 2


def test_a_subkey_bound_with_sha_1_is_left_out(gpg: Gpg) -> None:
    fingerprint = gpg.key("Sha One <sha@one>", "ed25519")
    weak = ("--allow-weak-key-signatures", "--cert-digest-algo", "SHA1")
    gpg(*weak, "--quick-add-key", fingerprint, "ed25519", "sign", "never")
    key = read_openpgp_key(gpg.export(fingerprint))
    assert key.key_ids == (fingerprint,)
    assert "no SHA-2 binding" in key.notes[0]


@refuses("ATT-OPENPGP-REVOKED")
def test_a_revoked_key_is_refused(gpg: Gpg) -> None:
    fingerprint = gpg.key("Gone <gone@x>", "ed25519")
    before = gpg.export(fingerprint)
    made = gpg.home / "openpgp-revocs.d" / f"{fingerprint.upper()}.rev"
    gpg("--import", data=made.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
    with pytest.raises(Refused, match="ATT-OPENPGP-REVOKED"):
        read_openpgp_key(gpg.export(fingerprint))
    revocation = next(
        part
        for part in packets(gpg.export(fingerprint))
        if part.tag == 2 and read_signature(part.body, (CREATED,)).kind == 0x20
    )
    kept, other = packets(before), packets(gpg.export(gpg.key("Stays <stays@x>", "ed25519")))
    # Another key's revocation takes nothing away.
    assert len(read_openpgp_key(joined([other[0], revocation, *other[1:]])).keys) == 1
    # One of the key's own that an old hash hides is taken at its word.
    weak = revocation.body[:3] + b"\x02" + revocation.body[4:]
    with pytest.raises(Refused, match="ATT-OPENPGP-REVOKED"):
        read_openpgp_key(joined([kept[0], Packet(2, weak), *kept[1:]]))
    # One that does not fit is no revocation.
    body = revocation.body
    broken = Packet(2, body[:-1] + bytes([body[-1] ^ 1]))
    assert len(read_openpgp_key(joined([kept[0], broken, *kept[1:]])).keys) == 1


def test_a_revoked_subkey_and_user_id_are_left_out(gpg: Gpg) -> None:
    fingerprint = gpg.key("Half <half@x>", "ed25519")
    gpg("--quick-add-uid", fingerprint, "Other <other@x>")
    gpg("--quick-revoke-uid", fingerprint, "Other <other@x>")
    gpg("--quick-add-key", fingerprint, "ed25519", "sign", "never")
    assert len(read_openpgp_key(gpg.export(fingerprint)).keys) == 2
    gpg.command("key 1\nrevkey\ny\n0\n\ny\nsave\n", "--edit-key", fingerprint)
    key = read_openpgp_key(gpg.export(fingerprint))
    assert key.key_ids == (fingerprint,)
    assert key.user_ids == ("Half <half@x>",)
    assert [note.endswith("it is revoked") for note in key.notes] == [True, True]


@refuses("ATT-OPENPGP-KEY", "ATT-KEY")
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("dsa1024", "ATT-OPENPGP-KEY: keys of algorithm 17 sign nothing here"),
        ("secp256k1", "ATT-OPENPGP-KEY: an ECDSA key on a curve that is not"),
        ("brainpoolP256r1", "ATT-OPENPGP-KEY: an ECDSA key on a curve that is not"),
        ("rsa1024", "ATT-KEY: an RSA key of 1024 bits"),
    ],
)
def test_keys_that_sign_nothing_here_are_refused(gpg: Gpg, kind: str, why: str) -> None:
    fingerprint = gpg.key(f"{kind} <{kind}@bad>", kind)
    with pytest.raises(Refused, match=why):
        read_openpgp_key(gpg.export(fingerprint))


@refuses("ATT-OPENPGP-KEY")
def test_secret_keys_two_keys_and_other_things_are_refused(gpg: Gpg, subkeyed: str) -> None:
    data = gpg.export(subkeyed)
    secret = gpg("--export-secret-keys", "--armor", subkeyed)
    relabelled = secret.replace(b"PRIVATE KEY BLOCK", b"PUBLIC KEY BLOCK")
    signature = gpg.sign(subkeyed, b"x")
    parts = packets(data)
    for bad, why in (
        (secret, "is a PGP PRIVATE KEY BLOCK"),
        (relabelled, "SECRET"),
        (signature, "is a PGP SIGNATURE"),
        (data + data, "two keys"),
        (b"", "no key"),
        (joined(parts[1:]), "does not begin with a public key"),
        (data + packet(11, b"b\0\0\0\0\0x"), "type 11"),
        (data[:-1], "longer than its file"),
        (packet(6, b"\x03" + parts[0].body[1:]), "version 3"),
        (packet(6, b"\x06" + parts[0].body[1:]), "version 6"),
        (packet(6, parts[0].body + b"x"), "after the last field"),
        (packet(6, parts[0].body[:-1]), "too early"),
        (packet(6, b""), "too early"),
        (data + bytes(1 << 18), "bytes"),
        (bytes(1 << 20), "bytes"),
        (packet(6, b"\x04" + bytes(4) + b"\x16\x03\x2b\x65\x71"), "not Ed25519"),
        (packet(6, ED25519 + mpi(b"\x41" + bytes(32))), "native form"),
        (packet(6, ED25519 + b"\x00\x09\x00\x01"), "another length"),
        (data + packet(14, bytes(70_000)), "more than 65535 bytes"),
    ):
        with pytest.raises(Refused, match=why):
            read_openpgp_key(bad)
    with pytest.raises(Refused, match="longer than 524288 characters"):
        parse_openpgp_key("A" * (1 << 20))


def test_what_certifies_nothing_takes_nothing_away(gpg: Gpg, subkeyed: str) -> None:
    """Trust packets, old and broken signatures stand in real keys beside the good ones."""
    parts = packets(gpg.export(subkeyed))
    extra = [Packet(12, b"\x01"), Packet(2, b"\x03" + bytes(30)), Packet(2, b""), Packet(21, b"x")]
    assert read_openpgp_key(joined([*parts[:2], *extra, *parts[2:]])) == read_openpgp_key(
        joined(parts)
    )


def test_a_signing_subkey_of_a_kind_that_signs_nothing_here_is_left_out(gpg: Gpg) -> None:
    fingerprint = gpg.key("Curve <curve@x>", "ed25519")
    gpg("--quick-add-key", fingerprint, "dsa2048", "sign", "never")
    key = read_openpgp_key(gpg.export(fingerprint))
    assert key.key_ids == (fingerprint,)
    assert "a subkey is left out: keys of algorithm 17" in key.notes[0]


@refuses("ATT-OPENPGP-KEY")
def test_the_work_that_a_key_can_cost_is_bounded(gpg: Gpg, subkeyed: str) -> None:
    parts = packets(gpg.export(subkeyed))
    at = next(at for at, part in enumerate(parts) if part.tag == 13)
    body = parts[at + 1].body
    broken = [Packet(2, body[:-1] + bytes([body[-1] ^ 1]))] * (MOST_CHECKS + 1)
    with pytest.raises(Refused, match="signatures to check"):
        read_openpgp_key(joined([*parts[: at + 1], *broken]))
    with pytest.raises(Refused, match="more than 2048 packets"):
        read_openpgp_key(joined([parts[0], *[Packet(13, b"")] * 2048]))


def test_a_key_that_stands_in_it_twice_is_refused(gpg: Gpg, subkeyed: str) -> None:
    parts = packets(gpg.export(subkeyed))
    at = next(at for at, part in enumerate(parts) if part.tag == 14)
    with pytest.raises(Refused, match="one key stands in it twice"):
        read_openpgp_key(joined([*parts[: at + 2], *parts[at : at + 2]]))


def test_one_key_is_one_identity_as_openpgp_and_as_spki(gpg: Gpg) -> None:
    key = read_openpgp_key(gpg.export(gpg.key("Ident <i@x>", "rsa2048"))).keys[0]
    assert parse_spki_der(key.spki) == key
