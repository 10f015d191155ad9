"""SSHSIG agrees with the real ssh-keygen, both ways, and reads nothing but SSHSIG."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.refusal import rule_of
from quorum.security_key import SecurityKey
from quorum.tool_keys import SshKey

from ceremony.attest.ssh_wire import string, uint32
from ceremony.attest.sshsig import armor, read_sshsig, signed_data, verify_sshsig
from ceremony.errors import Refused
from ceremony.keys import parse_ssh_line

NAMESPACE = "uki-attestation"
MESSAGE = b"0123456789abcdef  anchor.efi\n"


def tool_agrees(signature: bytes, message: bytes, line: str, folder: Path) -> bool:
    """Ask ssh-keygen -Y verify with the key as the one allowed signer."""
    allowed, file = folder / "allowed", folder / "file.sig"
    allowed.write_text(f'signer@example namespaces="{NAMESPACE}" {line}\n', encoding="ascii")
    file.write_bytes(signature)
    command: list[str | Path] = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        allowed,
        "-I",
        "signer@example",
    ]
    command += ["-n", NAMESPACE, "-s", file]
    done = subprocess.run(command, input=message, capture_output=True, check=False)
    return done.returncode == 0


@accepts("ATT-SSHSIG", "ATT-SIGNATURE", "ATT-NAMESPACE", "ATT-CERTIFICATE")
@pytest.mark.parametrize("hash_algorithm", ["sha256", "sha512"])
def test_what_ssh_keygen_signs_verifies(ssh_key: SshKey, hash_algorithm: str) -> None:
    command: list[str | Path] = [
        "ssh-keygen",
        "-q",
        "-Y",
        "sign",
        "-n",
        NAMESPACE,
        "-f",
        ssh_key.path,
    ]
    command += ["-O", f"hashalg={hash_algorithm}"]
    data = subprocess.run(command, input=MESSAGE, capture_output=True, check=True).stdout
    signature = read_sshsig(data)
    key, _ = parse_ssh_line(ssh_key.line)
    assert signature.hash_algorithm == hash_algorithm
    assert signature.touched
    assert verify_sshsig(signature, MESSAGE, NAMESPACE) == key


def test_an_rsa_signature_without_its_leading_zeros_verifies_as_in_ssh_keygen(
    ssh_keys: dict[str, SshKey], tmp_path: Path
) -> None:
    """RFC 8332 3 has it as long as the modulus; ssh-rsa.c pads what some agents leave out."""
    key = ssh_keys["rsa-3072"]
    private = load_ssh_private_key(key.path.read_bytes(), None)
    assert isinstance(private, RSAPrivateKey)
    public = base64.b64decode(key.line.split()[1])
    number = 0
    while (  # one in 256 begins so
        value := private.sign(
            signed_data(NAMESPACE, message := MESSAGE + b"# n %d\n" % number),
            PKCS1v15(),
            SHA512(),
        )
    )[0]:
        number += 1
    for shown, fits in ((value, True), (value[1:], True), (b"\0" + value, False)):
        blob = string(b"rsa-sha2-512") + string(shown)
        data = armor(public, NAMESPACE, blob, "sha512")
        assert tool_agrees(data, message, key.line, tmp_path) == fits
        if fits:
            verify_sshsig(read_sshsig(data), message, NAMESPACE)
        else:
            with pytest.raises(Refused, match="ATT-SIGNATURE"):
                verify_sshsig(read_sshsig(data), message, NAMESPACE)


@refuses("ATT-SIGNATURE", "ATT-NAMESPACE")
def test_another_message_or_namespace_is_refused(ssh_key: SshKey, tmp_path: Path) -> None:
    data = ssh_key.sign(MESSAGE)
    signature = read_sshsig(data)
    with pytest.raises(Refused, match="ATT-SIGNATURE"):
        verify_sshsig(signature, MESSAGE + b"\n", NAMESPACE)
    with pytest.raises(Refused, match="ATT-NAMESPACE"):
        verify_sshsig(signature, MESSAGE, "file")
    assert tool_agrees(data, MESSAGE, ssh_key.line, tmp_path)
    assert not tool_agrees(data, MESSAGE + b"\n", ssh_key.line, tmp_path)


@pytest.mark.parametrize("hash_algorithm", ["sha256", "sha512"])
def test_what_is_written_here_verifies_in_ssh_keygen(
    ssh_keys: dict[str, SshKey], tmp_path: Path, hash_algorithm: str
) -> None:
    key = ssh_keys["ed25519"]
    private = load_ssh_private_key(key.path.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    raw = private.sign(signed_data(NAMESPACE, MESSAGE, hash_algorithm))
    blob = base64.b64decode(key.line.split(" ")[1])
    data = armor(blob, NAMESPACE, string(b"ssh-ed25519") + string(raw), hash_algorithm)
    assert tool_agrees(data, MESSAGE, key.line, tmp_path)
    assert verify_sshsig(read_sshsig(data), MESSAGE, NAMESPACE) == parse_ssh_line(key.line)[0]
    if hash_algorithm == "sha512":
        assert data == key.sign(MESSAGE)  # Ed25519 is deterministic: the very same file


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
@pytest.mark.parametrize("flags", [0, 1, 5])
def test_a_security_keys_signature_verifies_as_in_ssh_keygen(
    tmp_path: Path, kind: str, flags: int
) -> None:
    token = SecurityKey.make(kind)
    data = token.sign(MESSAGE, flags=flags)
    signature = read_sshsig(data)
    assert verify_sshsig(signature, MESSAGE, NAMESPACE) == parse_ssh_line(token.line)[0]
    assert (signature.flags, signature.counter) == (flags, 7)
    assert signature.touched is bool(flags & 1)
    assert tool_agrees(data, MESSAGE, token.line, tmp_path)
    with pytest.raises(Refused, match="ATT-SIGNATURE"):
        verify_sshsig(signature, MESSAGE[1:], NAMESPACE)


def test_flags_and_counter_of_a_security_key_are_signed() -> None:
    token = SecurityKey.make()
    blob = base64.b64decode(b"".join(token.sign(MESSAGE, flags=0).split(b"\n")[1:-2]))
    touched = blob[:-5] + b"\1" + blob[-4:]
    counted = blob[:-4] + uint32(8)
    for changed in (touched, counted):
        with pytest.raises(Refused, match="ATT-SIGNATURE"):
            verify_sshsig(read_sshsig(wrapped(changed)), MESSAGE, NAMESPACE)


@refuses("ATT-CERTIFICATE")
def test_a_signature_by_certificate_is_refused_by_name(tmp_path: Path) -> None:
    authority, user = SshKey.make(tmp_path / "ca"), SshKey.make(tmp_path / "user")
    command: list[str | Path] = [
        "ssh-keygen",
        "-q",
        "-s",
        authority.path,
        "-I",
        "user",
        f"{user.path}.pub",
    ]
    subprocess.run(command, check=True, capture_output=True)
    line = Path(f"{user.path}-cert.pub").read_text(encoding="ascii")
    certificate = base64.b64decode(line.split(" ")[1])
    data = armor(certificate, NAMESPACE, string(b"ssh-ed25519") + string(bytes(64)), "sha512")
    with pytest.raises(Refused, match="ATT-CERTIFICATE"):
        read_sshsig(data)


def wrapped(blob: bytes, width: int = 70) -> bytes:
    text = base64.b64encode(blob)
    lines = [text[i : i + width] for i in range(0, len(text), width)]
    begin, end = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
    return b"\n".join((begin, *lines, end, b""))


KEY = SecurityKey.make("ed25519")
SSH_KEY = string(b"ssh-ed25519") + string(bytes(31) + b"\1")
SIGNATURE = string(b"ssh-ed25519") + string(bytes(64))


def blob(  # noqa: PLR0913 - one field each
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    key: bytes = SSH_KEY,
    namespace: bytes = b"n",
    reserved: bytes = b"",
    hash_algorithm: bytes = b"sha512",
    signature: bytes = SIGNATURE,
) -> bytes:
    fields = (key, namespace, reserved, hash_algorithm, signature)
    return magic + uint32(version) + b"".join(string(field) for field in fields)


def test_the_reserved_field_is_ignored_as_the_protocol_says(
    ssh_keys: dict[str, SshKey], tmp_path: Path
) -> None:
    key = ssh_keys["ed25519"]
    whole = base64.b64decode(b"".join(key.sign(MESSAGE).split(b"\n")[1:-2]))
    place = whole.index(string(NAMESPACE.encode())) + len(string(NAMESPACE.encode()))
    data = wrapped(whole[:place] + string(b"tag") + whole[place + 4 :])
    assert verify_sshsig(read_sshsig(data), MESSAGE, NAMESPACE) == parse_ssh_line(key.line)[0]
    assert tool_agrees(data, MESSAGE, key.line, tmp_path)


def test_the_parts_make_a_readable_signature() -> None:
    assert read_sshsig(wrapped(blob())).namespace == "n"


NO_SIGNATURES = [
    b"",
    wrapped(blob())[1:],
    wrapped(blob())[:-1],
    wrapped(blob()) + b"\n",
    wrapped(blob()).replace(b"\n", b"\r\n"),
    wrapped(blob()).replace(b"\n-----END", b"\n\n-----END"),
    wrapped(blob(), 77),
    wrapped(blob()).replace(b"U1NIU0lH", b"U1N\xffU0lH"),
    wrapped(blob()).replace(b"U1NIU0lH", b"U1NI U0lH"),
    wrapped(blob() + b"x"),
    wrapped(blob()[:-1]),
    wrapped(blob(magic=b"SSHSIH")),
    wrapped(blob(version=0)),
    wrapped(blob(version=2)),
    wrapped(blob(namespace=b"")),
    wrapped(blob(namespace=b"n\n")),
    wrapped(blob(hash_algorithm=b"sha1")),
    wrapped(blob(signature=string(b"ssh-rsa") + string(bytes(64)))),
    wrapped(blob(signature=string(b"rsa-sha2-512") + string(bytes(64)))),
    wrapped(blob(signature=SIGNATURE + b"\1\0\0\0\7")),
    wrapped(blob(signature=b"\xff\xff\xff\xff")),
    wrapped(blob(key=KEY.blob)),
    wrapped(blob(reserved=bytes(50_000))),
]


@refuses("ATT-SSHSIG")
@pytest.mark.parametrize("data", NO_SIGNATURES, ids=range(len(NO_SIGNATURES)))
def test_what_is_no_sshsig_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="ATT-SSHSIG"):
        read_sshsig(data)


def test_rsa_with_sha1_is_refused(ssh_keys: dict[str, SshKey]) -> None:
    whole = base64.b64decode(b"".join(ssh_keys["rsa-2048"].sign(MESSAGE).split(b"\n")[1:-2]))
    name = string(b"rsa-sha2-512")
    start = whole.rindex(name)
    inner = string(b"ssh-rsa") + whole[start + len(name) :]
    with pytest.raises(Refused, match="ATT-SSHSIG"):
        read_sshsig(wrapped(whole[: start - 4] + string(inner)))


@given(st.data())
def test_any_bytes_parse_or_are_refused(data: st.DataObject) -> None:
    whole = bytearray(blob())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=6))
    assert rule_of(read_sshsig, wrapped(bytes(whole)))[:4] in ("", "ATT-")
