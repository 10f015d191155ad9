"""One key is one identity in every wrapping; what is no canonical key is refused."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from marks import accepts, refuses
from quorum.security_key import SecurityKey
from quorum.tool_keys import MinisignKey, SshKey

from ceremony import keys
from ceremony.attest.nix_key import parse_nix_key
from ceremony.attest.openpgp_material import read_member
from ceremony.attest.signify import parse_signify_key
from ceremony.attest.ssh_wire import mpint, string
from ceremony.errors import Refused
from ceremony.keys import ED25519_SPKI, ED25519_SPKI_WITH_NULL, PublicKey, Scheme

POINT_FORMS = (
    serialization.PublicFormat.UncompressedPoint,
    serialization.PublicFormat.CompressedPoint,
)


def der(key: SshKey) -> bytes:
    loaded = serialization.load_ssh_public_key(key.line.encode())
    return loaded.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@accepts("ATT-KEY")
def test_a_key_as_ssh_line_pem_and_der_is_one_key(ssh_key: SshKey) -> None:
    key, comment = keys.parse_ssh_line(ssh_key.line)
    raw = der(ssh_key)
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(raw) + b"-----END PUBLIC KEY-----\n"
    assert key == keys.parse_spki_der(raw) == keys.parse_spki(pem.decode())
    assert key == keys.parse_spki(base64.b64encode(raw).decode())
    assert key.fpr == "sha256:" + hashlib.sha256(raw).hexdigest() == f"sha256:{key.identity.hex}"
    assert comment == key.algorithm == ssh_key.path.name


def test_ssh_keygens_own_pem_of_an_rsa_key_is_the_same_key(ssh_keys: dict[str, SshKey]) -> None:
    key = ssh_keys["rsa-3072"]
    command = ["ssh-keygen", "-e", "-m", "PKCS8", "-f", f"{key.path}.pub"]
    pem = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert keys.parse_spki(pem) == keys.parse_ssh_line(key.line)[0]


def test_a_compressed_point_is_the_same_key() -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    head = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    points = [public.public_bytes(serialization.Encoding.X962, form) for form in POINT_FORMS]
    short = head[:-65] + points[1]
    # SEQUENCE length and BIT STRING length shrink by the 32 bytes of y
    short = bytes([short[0], short[1] - 32]) + short[2:24] + bytes([short[24] - 32]) + short[25:]
    assert short != head
    assert keys.parse_spki_der(short) == keys.parse_spki_der(head)


def test_ed25519_with_explicit_null_parameters_is_the_same_key(
    ssh_keys: dict[str, SshKey],
) -> None:
    key, _ = keys.parse_ssh_line(ssh_keys["ed25519"].line)
    raw = key.spki.removeprefix(ED25519_SPKI)
    assert keys.parse_spki_der(ED25519_SPKI_WITH_NULL + raw) == key


def test_a_minisign_key_is_its_ed25519_key(minisign_key: MinisignKey) -> None:
    key, key_id = keys.parse_minisign(minisign_key.line)
    raw = base64.b64decode(minisign_key.line)
    assert key.spki == ED25519_SPKI + raw[10:]
    assert key_id == raw[2:10]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_security_key_keeps_its_application(kind: str) -> None:
    token = SecurityKey.make(kind)
    key, _ = keys.parse_ssh_line(token.line)
    assert key.application == "ssh:"
    assert key.is_security_key
    assert key.algorithm in ("sk-ssh-ed25519", "sk-ecdsa-p256")


def ssh_line(kind: bytes, *fields: bytes, named: bytes | None = None) -> str:
    blob = b"".join(string(field) for field in (kind, *fields))
    return f"{(named or kind).decode()} {base64.b64encode(blob).decode()}"


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers()
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
GOOD = ssh_line(b"ssh-ed25519", bytes(31) + b"\1")


NO_SSH_KEYS = [
    *("", "ssh-ed25519", "ssh-ed25519 ####", "x" * 9000, GOOD.rstrip("=") + "!"),
    ssh_line(b"ssh-ed25519", bytes(31)),
    ssh_line(b"ssh-ed25519", bytes(32), b"more"),
    ssh_line(b"ssh-ed25519", b"\xff" * 32),  # y is not below p: a second name of a key
    ssh_line(b"ssh-ed25519", (2**255 - 19).to_bytes(32, "little")),
    ssh_line(b"ssh-ed25519", bytes(32), named=b"ssh-rsa"),
    ssh_line(b"ssh-dss", b"\1", b"\1", b"\1", b"\1"),
    ssh_line(b"ecdsa-sha2-nistp256", b"nistp384", b"\4" + bytes(64)),
    ssh_line(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + bytes(64)),
    ssh_line(b"ecdsa-sha2-nistp256", b"nistp256", b"\2" + bytes(32)),
    ssh_line(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp384", b"\4" + bytes(64), b"ssh:"),
    ssh_line(b"ssh-rsa", b"\1\0\1", b"\0\0" + RSA.n.to_bytes(256, "big")),  # not shortest
    ssh_line(b"ssh-rsa", b"\1\0\1", RSA.n.to_bytes(256, "big")),  # negative
    ssh_line(b"ssh-rsa", b"", b"\1"),
    ssh_line(b"ssh-rsa", b"\2", b"\0" + RSA.n.to_bytes(256, "big")),  # even exponent
    # an exponent that makes each of a stranger's signatures cost a hundred times as much
    ssh_line(b"ssh-rsa", mpint((1 << 2040) + 1)[4:], b"\0" + RSA.n.to_bytes(256, "big")),
    ssh_line(b"ssh-rsa", mpint((1 << 24) + 1)[4:], b"\0" + RSA.n.to_bytes(256, "big")),
    ssh_line(b"ssh-rsa", b"\1\0\1", b"\1" + bytes(4096)),
    ssh_line(b"ssh-rsa", b"\1\0\1", mpint(SHORT.public_numbers().n)[4:]),
    ssh_line(b"\xff\xfe", bytes(32), named=b"ssh-ed25519"),
]


@refuses("ATT-KEY")
@pytest.mark.parametrize("line", NO_SSH_KEYS, ids=range(len(NO_SSH_KEYS)))
def test_what_is_no_ssh_key_is_refused(line: str) -> None:
    with pytest.raises(Refused, match="ATT-KEY"):
        keys.parse_ssh_line(line)


# The encodings of the eight points of order 1, 2, 4 and 8, with x = 0 under both signs.
EIGHTH = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
OTHER_EIGHTH = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
SMALL_ORDER = {
    f"{name}-{sign}": bytes([*raw[:31], raw[31] | sign << 7])
    for name, raw in (
        ("identity", (1).to_bytes(32, "little")),
        ("order-2", (2**255 - 20).to_bytes(32, "little")),
        ("order-4", bytes(32)),
        ("order-8", bytes.fromhex(EIGHTH)),
        ("other-order-8", bytes.fromhex(OTHER_EIGHTH)),
    )
    for sign in (0, 1)
}


def wrapped(raw: bytes) -> dict[str, Callable[[], object]]:
    """Return how each wrapping of an Ed25519 key is read."""
    named = base64.b64encode(b"Ed12345678" + raw).decode()
    body = b"\x04" + bytes(4) + b"\x1b" + raw
    token = ssh_line(b"sk-ssh-ed25519@openssh.com", raw, b"ssh:")
    return {
        "ssh": lambda: keys.parse_ssh_line(ssh_line(b"ssh-ed25519", raw)),
        "security-key": lambda: keys.parse_ssh_line(token),
        "spki": lambda: keys.parse_spki_der(ED25519_SPKI + raw),
        "spki-with-null": lambda: keys.parse_spki_der(ED25519_SPKI_WITH_NULL + raw),
        "minisign": lambda: keys.parse_minisign(named),
        "signify": lambda: parse_signify_key(named),
        "nix": lambda: parse_nix_key(f"n-1:{base64.b64encode(raw).decode()}"),
        "openpgp": lambda: read_member(body),
    }


@refuses("ATT-KEY")
@pytest.mark.parametrize("wrapping", wrapped(bytes(32)))
@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_point_of_small_order_for_which_anybody_can_sign_is_no_key(
    point: str, wrapping: str
) -> None:
    """libsodium, hence minisign and Nix, refuses it; OpenSSL and OpenSSH do not."""
    with pytest.raises(Refused, match="ATT-KEY: the Ed25519 key is a point of small order"):
        wrapped(SMALL_ORDER[point])[wrapping]()


def test_anybody_signs_for_a_point_of_small_order_where_it_is_taken_for_a_key() -> None:
    forged = SMALL_ORDER["identity-0"] + bytes(32)  # R is the identity, S is 0
    taken = PublicKey(ED25519_SPKI + SMALL_ORDER["identity-0"], "ed25519")
    taken.verify(forged, b"anything at all", Scheme.ED25519)


def spki(key: object) -> str:
    assert hasattr(key, "public_bytes")
    raw = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(raw).decode()


NO_KEY_INFOS = [
    *("", "AAAA", "-----BEGIN PUBLIC KEY-----\nAAAA", "x" * 9000),
    spki(SHORT),
    spki(dsa.generate_private_key(2048).public_key()),
    spki(ed448.Ed448PrivateKey.generate().public_key()),
    spki(ec.generate_private_key(ec.SECP256K1()).public_key()),
    base64.b64encode(ED25519_SPKI + bytes(33)).decode(),
    base64.b64encode(ED25519_SPKI + b"\xff" * 32).decode(),
]


@refuses("ATT-KEY")
@pytest.mark.parametrize("text", NO_KEY_INFOS, ids=range(len(NO_KEY_INFOS)))
def test_what_is_no_public_key_info_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="ATT-KEY"):
        keys.parse_spki(text)


@pytest.mark.parametrize("text", ["", "RWQ", base64.b64encode(b"ED" + bytes(40)).decode()])
def test_what_is_no_minisign_key_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="ATT-KEY"):
        keys.parse_minisign(text)


def test_a_key_makes_only_its_own_kind_of_signature(ssh_key: SshKey) -> None:
    key, _ = keys.parse_ssh_line(ssh_key.line)
    for scheme in Scheme:
        for signature in (b"", bytes(64), b"\x30\x06\x02\x01\x01\x02\x01\x01", bytes(256)):
            with pytest.raises(Refused, match="ATT-SIGNATURE"):
                key.verify(signature, b"message", scheme)


@pytest.mark.parametrize(
    ("algorithm", "scheme", "names", "allowed"),
    [
        ("ed25519", Scheme.ED25519, ("ed25519",), True),
        ("ed25519", Scheme.ED25519, ("sk-ssh-ed25519",), False),
        ("sk-ssh-ed25519", Scheme.ED25519, ("ed25519",), False),
        ("ecdsa-p256-sha256", Scheme.ECDSA, ("ecdsa-p384-sha384",), False),
        ("rsa-3072", Scheme.RSA_PKCS1_SHA256, ("rsa>=3072-sha256",), True),
        ("rsa-3072", Scheme.RSA_PKCS1_SHA512, ("rsa>=3072-sha256",), True),
        ("rsa-3072", Scheme.RSA_PSS_SHA256, ("rsa>=3072-sha512",), False),
        ("rsa-2048", Scheme.RSA_PKCS1_SHA512, ("rsa>=3072-sha256",), False),
        ("rsa-4096", Scheme.RSA_PKCS1_SHA512, ("ed25519", "rsa>=4096-sha512"), True),
    ],
)
def test_algorithms_are_allowed_by_name_size_and_hash(
    algorithm: str, scheme: Scheme, names: tuple[str, ...], *, allowed: bool
) -> None:
    assert PublicKey(b"", algorithm).allowed_by(names, scheme) is allowed
