"""Certificates of the real ssh-keygen verify, and whatever else stands in their place does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.refusal import rule_of
from quorum.security_key import SecurityKey
from quorum.ssh_authority import Making, SshAuthority, blob_of, listed, options, sign_certified
from quorum.tool_keys import NAMESPACE, SshKey

from ceremony.attest.ssh_certificate import proved_certificate, read_certificate
from ceremony.attest.ssh_wire import string
from ceremony.attest.sshsig import read_certifiable, read_sshsig, verify_sshsig
from ceremony.errors import Refused
from ceremony.keys import parse_ssh_line

MESSAGE = b"0123456789abcdef  anchor.efi\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certified")


@pytest.fixture(scope="module")
def authority(folder: Path) -> SshAuthority:
    return SshAuthority.make(folder / "ca")


def tool_agrees(signature: bytes, authority: str, folder: Path) -> bool:
    """Ask ssh-keygen -Y verify with the authority as the one allowed signer."""
    allowed, file = folder / "allowed", folder / "file.sig"
    allowed.write_text(f'dan cert-authority,namespaces="{NAMESPACE}" {authority}\n', "ascii")
    file.write_bytes(signature)
    command: list[str | Path] = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "dan"]
    command += ["-n", NAMESPACE, "-s", file, "-O", "verify-time=20261115000000Z"]
    return subprocess.run(command, input=MESSAGE, capture_output=True, check=False).returncode == 0


@accepts("ATT-CERTIFICATE")
def test_a_certificate_for_each_kind_of_key_verifies_as_in_ssh_keygen(
    ssh_key: SshKey, authority: SshAuthority, tmp_path: Path
) -> None:
    authority.certify(Path(f"{ssh_key.path}.pub"))
    data = sign_certified(ssh_key, MESSAGE)
    Path(f"{ssh_key.path}-cert.pub").unlink()
    signature = read_certifiable(data)
    found = signature.certificate
    assert found is not None
    assert verify_sshsig(signature, MESSAGE, NAMESPACE) == parse_ssh_line(ssh_key.line)[0]
    assert found.authority == parse_ssh_line(authority.line)[0]
    assert (found.user, found.serial, found.key_id) == (True, 4711, "build host")
    assert (found.principals, found.options, found.touched) == (("dan",), (), True)
    assert found.valid_before - found.valid_after == 30 * 86400
    assert tool_agrees(data, authority.line, tmp_path)
    with pytest.raises(Refused, match="ATT-SIGNATURE"):
        verify_sshsig(signature, MESSAGE[1:], NAMESPACE)
    with pytest.raises(Refused, match="ATT-CERTIFICATE"):
        read_sshsig(data)


def test_an_authority_of_each_kind_certifies(ssh_key: SshKey, tmp_path: Path) -> None:
    user = SshKey.make(tmp_path / "user")
    line = SshAuthority(ssh_key).certify(tmp_path / "user.pub")
    assert read_certificate(blob_of(line)).authority == parse_ssh_line(ssh_key.line)[0]
    assert tool_agrees(sign_certified(user, MESSAGE), ssh_key.line, tmp_path)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_security_key_is_certified_too(
    authority: SshAuthority, tmp_path: Path, kind: str
) -> None:
    token = SecurityKey.make(kind)
    (tmp_path / "token.pub").write_text(token.line + "\n", "ascii")
    found = read_certificate(blob_of(authority.certify(tmp_path / "token.pub")))
    assert found.public_key == parse_ssh_line(token.line)[0]
    assert found.touched


@refuses("ATT-CERTIFICATE")
def test_an_rsa_authority_with_sha1_is_refused(ssh_keys: dict[str, SshKey], tmp_path: Path) -> None:
    SshKey.make(tmp_path / "user")
    authority = SshAuthority(ssh_keys["rsa-3072"])
    line = authority.certify(tmp_path / "user.pub", "dan", "-t", "ssh-rsa")
    with pytest.raises(Refused, match=r"ATT-CERTIFICATE.*ssh-rsa"):
        read_certificate(blob_of(line))


@accepts("ATT-CERTIFICATE")
@refuses("ATT-CERTIFICATE")
@pytest.mark.parametrize("flags", [1, 5])
def test_verify_required_wants_a_pin_or_a_finger(flags: int) -> None:
    made = Making(user=SecurityKey.make(), critical=options(("verify-required", b"")))
    signature = read_certifiable(made.sign(MESSAGE, flags=flags))
    if flags == 5:
        verify_sshsig(signature, MESSAGE, NAMESPACE)
    else:
        with pytest.raises(Refused, match=r"ATT-CERTIFICATE.*verify-required"):
            verify_sshsig(signature, MESSAGE, NAMESPACE)


def test_verify_required_is_nothing_that_a_plain_key_can_keep() -> None:
    made = Making(critical=options(("verify-required", b"")))
    with pytest.raises(Refused, match=r"ATT-CERTIFICATE.*verify-required"):
        verify_sshsig(read_certifiable(made.sign(MESSAGE)), MESSAGE, NAMESPACE)


NO_CERTIFICATES: dict[str, tuple[bytes, str]] = {
    "trailing-bytes": (Making().blob + b"x", "stand after the last field"),
    "cut-short": (Making().blob[:-1], "too early"),
    "forged-signature": (
        Making(signature=string(b"ssh-ed25519") + string(bytes(64))).blob,
        "its authority did not sign",
    ),
    "signed-by-another": (
        Making(authority_blob=blob_of(Making().line)).blob,
        "its authority did not sign",
    ),
    "nested-authority": (Making(authority_blob=Making().blob).blob, "chains do not count"),
    "unknown-version": (
        Making(kind=b"ssh-ed25519-cert-v02@openssh.com").blob,
        "ssh-ed25519-cert-v02@openssh.com is not known here",
    ),
    "dsa": (Making(kind=b"ssh-dss-cert-v01@openssh.com").blob, "is not known here"),
    "neither-user-nor-host": (Making(use=3).blob, "neither a user's nor a host's"),
    "key-id-of-no-utf-8": (Making(key_id=b"\xff").blob, "not UTF-8"),
    "principals-cut": (Making(principals=listed("dan")[:-1]).blob, "too early"),
    "too-many-principals": (Making(principals=listed("d") * 257).blob, "more than 256"),
    "option-twice": (
        Making(critical=options(("verify-required", b""), ("verify-required", b""))).blob,
        "stands twice",
    ),
    "option-cut": (Making(critical=string(b"force-command")).blob, "too early"),
    "too-many-options": (
        Making(extensions=options(*((f"x{n}", b"") for n in range(65)))).blob,
        "more than 64",
    ),
    "too-long": (Making(reserved=bytes(1 << 15)).blob, "more than 32768 bytes"),
}


@refuses("ATT-CERTIFICATE")
@pytest.mark.parametrize("defect", NO_CERTIFICATES)
def test_what_is_no_certificate_is_refused_by_name(defect: str) -> None:
    blob, why = NO_CERTIFICATES[defect]
    with pytest.raises(Refused, match="ATT-CERTIFICATE") as caught:
        read_certificate(blob)
    assert why in caught.value.findings[0].text


def test_a_key_of_another_type_than_the_certificate_says_is_no_key() -> None:
    with pytest.raises(Refused):
        read_certificate(Making(kind=b"ssh-rsa-cert-v01@openssh.com").blob)


def test_what_is_proved_is_what_was_read() -> None:
    made = Making(reserved=b"ignored", extensions=options(("permit-pty", b"")))
    found = read_certificate(made.blob)
    assert proved_certificate(found.signed, found.signature, found.authority) == found


@refuses("ATT-CERTIFICATE")
def test_nothing_is_proved_by_another_authority_or_of_other_bytes() -> None:
    made = Making()
    found = read_certificate(made.blob)
    stranger = read_certificate(Making().blob).authority
    for signed, signature, authority in (
        (found.signed, found.signature, stranger),
        (found.signed.replace(listed("dan"), listed("fay")), found.signature, found.authority),
        (found.signed, found.signature + b"x", found.authority),
    ):
        with pytest.raises(Refused, match="ATT-CERTIFICATE"):
            proved_certificate(signed, signature, authority)


def test_an_authority_cannot_be_proved_by_a_certificate_that_names_another() -> None:
    real = Making()
    false = Making(authority=real.authority, authority_blob=blob_of(Making().line))
    held = parse_ssh_line(real.line)[0]
    signature = string(b"ssh-ed25519") + string(real.authority.sign(false.signed))
    with pytest.raises(Refused, match="names another authority"):
        proved_certificate(false.signed, signature, held)


SOUND = Making(critical=options(("verify-required", b""))).blob


@given(st.data())
def test_any_bytes_are_a_certificate_or_refused(data: st.DataObject) -> None:
    whole = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=6))
    rule = rule_of(read_certificate, bytes(whole))
    assert rule[:4] in ("", "ATT-")
    if not rule:
        found = read_certificate(bytes(whole))
        assert found.signed == SOUND[: len(found.signed)]
