"""sbattach: a signature of this image goes in, any goes out, and the image stays whole."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from marks import accepts, refuses
from pe.images import MOMENT, Signer, pe_image, uki, uki_parts
from sbsigntools.desk import Desk, is_refusal

from ceremony.pe.sign import assemble, plan


def cms_of(image: bytes, by: Signer) -> bytes:
    planned = plan(image, by.certificate, (), MOMENT)
    return assemble(image, planned, by.sign(planned.attributes)).cms


@pytest.fixture
def twice(desk: Desk) -> Desk:
    """Return a desk whose image alice and then bob signed; the signatures lie beside it."""
    for who, by in (("alice", desk.alice), ("bob", desk.bob)):
        desk.path(f"{who}.pk7").write_bytes(cms_of(uki(), by))
        done = desk.run("sbattach", "--attach", f"{who}.pk7", "image.efi")
        assert done.returncode == 0, done.stderr
    return desk


@accepts("SIG-ACTION")
def test_an_attached_signature_gives_what_sbsign_writes(desk: Desk) -> None:
    desk.image.write_bytes(pe_image(uki_parts(), overlay=b"odd"))
    theirs = desk.theirs("image.efi").read_bytes()
    desk.path("sig").write_bytes(desk.theirs("--detached", "image.efi").read_bytes())
    done = desk.run("sbattach", "--attach", "sig", "image.efi")
    assert (done.returncode, done.stderr) == (0, "Signing Unsigned original image\n")
    assert desk.image.read_bytes() == theirs


def test_a_signature_of_another_image_is_not_attached(desk: Desk) -> None:
    # The real sbattach says nothing and the firmware refuses the result.
    desk.path("sig").write_bytes(cms_of(uki(initrd=b"\x1f\x8bother"), desk.alice))
    before = desk.image.read_bytes()
    done = desk.run("sbattach", "--attach", "sig", "image.efi")
    assert is_refusal(done, "SIG-DIGEST")
    assert desk.image.read_bytes() == before


@refuses("SIG-FILE")
@accepts("SIG-FILE")
@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (bytes(1024), "SIG-FILE"),
        (b"", "SIG-FILE"),
        (b"-----BEGIN PKCS7-----\n", "SIG-FILE"),
        (b"0" * 70000, "MED-SIZE"),
    ],
    ids=["zeros", "empty", "pem", "large"],
)
def test_what_is_no_signature_is_not_attached(content: bytes, rule: str, desk: Desk) -> None:
    desk.path("sig").write_bytes(content)
    before = desk.image.read_bytes()
    done = desk.run("sbattach", "--attach", "sig", "image.efi")
    assert is_refusal(done, rule, "sig")
    assert "unsigned image" not in done.stderr
    assert desk.image.read_bytes() == before


@accepts("SIG-NUMBER")
def test_each_signature_is_detached_by_its_number(twice: Desk) -> None:
    before = twice.image.read_bytes()
    for number, who in ((1, "alice"), (2, "bob")):
        done = twice.run("sbattach", "--detach", "out", "--signum", str(number), "image.efi")
        assert done.returncode == 0, done.stderr
        assert twice.path("out").read_bytes() == twice.path(f"{who}.pk7").read_bytes()
    assert twice.image.read_bytes() == before


@pytest.mark.parametrize("gone", [1, 2])
def test_the_other_signature_stays_good_when_one_is_removed(gone: int, twice: Desk) -> None:
    stays = ("bob", "alice")[gone - 1]
    done = twice.run("sbattach", "--remove", "--signum", str(gone), "image.efi")
    assert done.returncode == 0, done.stderr
    assert twice.run("sbverify", "--cert", f"{stays}.pem", "image.efi").returncode == 0
    once = twice.image.read_bytes()
    twice.image.write_bytes(uki())
    assert twice.run("sbattach", "--attach", f"{stays}.pk7", "image.efi").returncode == 0
    assert twice.image.read_bytes() == once


def test_what_is_left_without_a_signature_is_what_sbattach_leaves(desk: Desk) -> None:
    sbattach = shutil.which("sbattach")
    if sbattach is None:
        pytest.skip("sbsigntool is not installed")
    desk.image.write_bytes(pe_image(uki_parts(), overlay=b"odd"))
    theirs = desk.theirs("image.efi")
    desk.signed.write_bytes(theirs.read_bytes())
    done = desk.run("sbattach", "--detach", "out", "--remove", "signed.efi")
    assert done.returncode == 0, done.stderr
    subprocess.run([sbattach, "--remove", theirs], check=True, capture_output=True)
    assert desk.signed.read_bytes() == theirs.read_bytes()
    assert desk.run("sbattach", "--attach", "out", "signed.efi").returncode == 0
    assert desk.signed.read_bytes() == desk.theirs("image.efi").read_bytes()


@refuses("SIG-ACTION", "SIG-NUMBER")
@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("--attach", "alice.pk7", "--remove"), "SIG-ACTION"),
        (("--attach", "alice.pk7", "--detach", "out"), "SIG-ACTION"),
        ((), "SIG-ACTION"),
        (("--detach", "out", "--signum", "0"), "SIG-NUMBER"),
        (("--detach", "out", "--signum", "3"), "SIG-NUMBER"),
        (("--remove", "--signum", "-1"), "SIG-NUMBER"),
        (("--remove", "--signum", "x"), "usage"),
        (("--detach", "out", "--nope"), "usage"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    words: tuple[str, ...], rule: str, twice: Desk
) -> None:
    before = twice.image.read_bytes()
    done = twice.run("sbattach", *words, "image.efi")
    assert is_refusal(done, rule)
    assert (twice.image.read_bytes(), twice.path("out").exists()) == (before, False)


def test_a_full_table_takes_no_more(desk: Desk) -> None:
    desk.path("sig").write_bytes(cms_of(uki(), desk.alice))
    for _ in range(16):
        assert desk.run("sbattach", "--attach", "sig", "image.efi").returncode == 0
    before = desk.image.read_bytes()
    assert is_refusal(desk.run("sbattach", "--attach", "sig", "image.efi"), "PE-CERT-COUNT")
    assert desk.image.read_bytes() == before
