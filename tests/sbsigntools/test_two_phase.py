"""tbs and assemble: the key is elsewhere, only 232 bytes and a signature travel."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pe.images import MOMENT, pe_image, signer, uki, uki_parts
from sbsigntools.desk import TIME, Desk, is_refusal

from ceremony.pe.sign import plan

TBS = ("tbs", "--time", TIME, "--output", "tbs.der")
ASSEMBLE = ("assemble", "--signed-data", "tbs.der", "--signed-data-signature", "sig")


def elsewhere(desk: Desk, who: str = "alice") -> None:
    """Sign the bytes on another machine, which has openssl and the key and nothing of ours."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    subprocess.run(
        [openssl, "dgst", "-sha256", "-sign", f"{who}.key", "-out", "sig", "tbs.der"],
        cwd=desk.folder, check=True, capture_output=True,
    )  # fmt: skip


def made(desk: Desk, who: str = "alice") -> None:
    done = desk.run(*TBS, "--cert", f"{who}.pem", "image.efi")
    assert done.returncode == 0, done.stderr
    elsewhere(desk, who)


def test_the_bytes_to_be_signed_are_the_plans(desk: Desk) -> None:
    made(desk)
    planned = plan(uki(), desk.alice.certificate, (), MOMENT)
    assert desk.path("tbs.der").read_bytes() == planned.attributes
    assert len(planned.attributes) == 232


@pytest.mark.parametrize("overlay", [b"", b"odd"])
def test_both_phases_together_are_sbsign(overlay: bytes, desk: Desk) -> None:
    desk.image.write_bytes(pe_image(uki_parts(), overlay=overlay))
    made(desk)
    words = (*ASSEMBLE, "--cert", "alice.pem", "--output", "signed.efi", "image.efi")
    done = desk.run(*words)
    assert done.returncode == 0, done.stderr
    assert desk.signed.read_bytes() == desk.theirs("image.efi").read_bytes()
    done = desk.run(*words[:-3], "--detached", "image.efi")
    assert done.returncode == 0, done.stderr
    theirs = desk.theirs("--detached", "image.efi").read_bytes()
    assert desk.path("image.efi.pk7").read_bytes() == theirs


def test_ecdsa_goes_both_ways(desk: Desk) -> None:
    signer("carol", curve=ec.SECP256R1()).write(desk.folder, "carol")
    made(desk, "carol")
    done = desk.run(*ASSEMBLE, "--cert", "carol.pem", "--output", "signed.efi", "image.efi")
    assert done.returncode == 0, done.stderr
    assert desk.run("sbverify", "--cert", "carol.pem", "signed.efi").returncode == 0


def another_image(desk: Desk) -> None:
    desk.image.write_bytes(uki(initrd=b"\x1f\x8bother"))


def another_key(desk: Desk) -> None:
    elsewhere(desk, "bob")


def all_zeros(desk: Desk) -> None:
    desk.path("sig").write_bytes(bytes(256))


def nothing(desk: Desk) -> None:
    desk.path("sig").write_bytes(b"")


def cut_short(desk: Desk) -> None:
    sig: Path = desk.path("sig")
    sig.write_bytes(sig.read_bytes()[:-1])


def another_time(desk: Desk) -> None:
    tbs = desk.path("tbs.der")
    tbs.write_bytes(tbs.read_bytes().replace(b"261122030405Z", b"261122030406Z"))


def exchanged(desk: Desk) -> None:
    """The advice for a signature in place of the signed data was to take another image."""
    data, signature = desk.path("tbs.der"), desk.path("sig")
    was = data.read_bytes()
    data.write_bytes(signature.read_bytes())
    signature.write_bytes(was)


def other_attributes(desk: Desk) -> None:
    desk.path("tbs.der").write_bytes(b"\x31\x00")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (another_image, "SIG-DIGEST"),
        (another_key, "SIG-VALUE"),
        (all_zeros, "SIG-VALUE"),
        (nothing, "SIG-VALUE"),
        (cut_short, "SIG-VALUE"),
        (another_time, "SIG-VALUE"),
        (other_attributes, "SIG-ATTRIBUTES"),
        (exchanged, "SIG-ATTRIBUTES"),
    ],
)
def test_what_does_not_belong_together_is_not_assembled(
    change: object, rule: str, desk: Desk
) -> None:
    made(desk)
    assert callable(change)
    change(desk)
    before = desk.names()
    done = desk.run(*ASSEMBLE, "--cert", "alice.pem", "--output", "signed.efi", "image.efi")
    assert is_refusal(done, rule)
    assert desk.names() == before


def test_a_certificate_of_another_key_is_refused(desk: Desk) -> None:
    made(desk)
    done = desk.run(*ASSEMBLE, "--cert", "bob.pem", "--output", "signed.efi", "image.efi")
    assert is_refusal(done, "SIG-VALUE")
    assert not desk.signed.exists()


def test_a_time_that_sbsign_would_garble_is_refused(desk: Desk) -> None:
    words = ("tbs", "--time", "2050-01-01T00:00:00Z", "--output", "tbs.der", "--cert", "alice.pem")
    assert is_refusal(desk.run(*words, "image.efi"), "SIG-TIME")
    assert not desk.path("tbs.der").exists()
