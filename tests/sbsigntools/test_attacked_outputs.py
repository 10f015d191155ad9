"""What a review found around files and options; each test is named by its defect."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from marks import accepts, refuses
from pe.images import pem
from sbsigntools.desk import SECONDS, Desk, is_refusal

from hsm import soft

OUT = ("--output", "signed.efi", "image.efi")
NOBODY = 65534


@pytest.fixture
def shared(desk: Desk) -> Desk:
    """Return a desk with a folder that anybody writes to and a file of nobody's elsewhere."""
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's files")
    desk.path("shared").mkdir()
    desk.path("shared").chmod(0o1777)
    desk.path("victim").write_text("precious")
    return desk


@refuses("MED-SPECIAL")
def test_another_users_link_in_a_shared_folder_leads_nowhere(shared: Desk) -> None:
    link = shared.path("shared") / "out.efi"
    link.symlink_to(shared.path("victim"))
    os.lchown(link, NOBODY, NOBODY)
    done = shared.sbsign("--output", "shared/out.efi", "image.efi")
    assert is_refusal(done, "MED-SPECIAL", "another user's link")
    assert shared.path("victim").read_text() == "precious"


def test_ones_own_link_is_written_through(desk: Desk) -> None:
    desk.path("real.efi").write_bytes(b"")
    desk.signed.symlink_to("real.efi")
    assert desk.sbsign(*OUT).returncode == 0
    assert desk.signed.is_symlink()
    assert desk.path("real.efi").stat().st_size > desk.image.stat().st_size


def test_a_strangers_file_does_not_pass_its_mode_on(shared: Desk) -> None:
    stranger = shared.path("shared") / "out.efi"
    stranger.write_bytes(b"")
    os.chown(stranger, NOBODY, NOBODY)
    stranger.chmod(0o6777)
    assert shared.sbsign("--output", "shared/out.efi", "image.efi").returncode == 0
    assert stranger.stat().st_mode & 0o7777 == 0o644


def test_a_strict_umask_stays_strict(desk: Desk) -> None:
    words = [sys.executable, "-I", "-m", "tui", "sbsign", "--key", "alice.key", "--cert"]
    done = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", *words, "alice.pem", *OUT],
        cwd=desk.folder, capture_output=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0
    assert desk.signed.stat().st_mode & 0o777 == 0o600


@refuses("MED-SAME")
@pytest.mark.parametrize("victim", ["alice.key", "alice.pem", "bob.pem"])
def test_the_output_never_replaces_a_key_or_a_certificate(victim: str, desk: Desk) -> None:
    before = desk.path(victim).read_bytes()
    done = desk.sbsign("--addcert", "bob.pem", "--output", victim, "image.efi")
    assert is_refusal(done, "MED-SAME")
    assert desk.path(victim).read_bytes() == before


@accepts("MED-SAME")
@refuses("MED-SAME")
def test_a_detached_signature_never_replaces_its_image(desk: Desk) -> None:
    assert desk.sbsign("--output", "image.efi", "image.efi").returncode == 0
    before = desk.image.read_bytes()
    desk.path("link.p7").symlink_to("image.efi")
    for words in (("--detach", "image.efi"), ("--remove", "--detach", "link.p7")):
        assert is_refusal(desk.run("sbattach", *words, "image.efi"), "MED-SAME")
    assert desk.image.read_bytes() == before


@refuses("MED-SPECIAL")
def test_a_loop_of_links_is_refused(desk: Desk) -> None:
    desk.path("loop").symlink_to("loop")
    assert is_refusal(desk.sbsign("--output", "signed.efi", "loop"), "MED-SPECIAL")
    assert is_refusal(desk.sbsign("--output", "loop", "image.efi"), "MED-SPECIAL")


def test_a_million_newlines_in_a_certificate_take_no_time(desk: Desk) -> None:
    begin = b"-----BEGIN CERTIFICATE-----"
    started = time.monotonic()
    for content in (begin + b"\n" * 1_000_000, begin * 35_000):
        desk.path("bad.pem").write_bytes(content)
        done = desk.run("sbverify", "--cert", "bad.pem", "image.efi")
        assert is_refusal(done, "SIG-CERTIFICATE")
    assert time.monotonic() - started < 60


@refuses("SIG-CERTIFICATE")
def test_a_damaged_certificate_in_a_bundle_is_not_passed_over(desk: Desk) -> None:
    good, bad = pem(desk.alice.certificate), pem(desk.bob.certificate)
    for damaged in (
        bad.replace("MII", "M!I", 1),
        bad.replace("END CERT", "END CART"),
        bad.replace("-----END CERTIFICATE-----", ""),
    ):
        desk.path("chain.pem").write_text(damaged + good)
        assert is_refusal(desk.sbsign("--addcert", "chain.pem", *OUT), "SIG-CERTIFICATE")


@accepts("SIG-CERTIFICATE")
def test_words_before_a_pem_block_do_not_make_it_der(desk: Desk) -> None:
    content = " 0 s:CN=alice\n   i:CN=alice\n" + pem(desk.alice.certificate)
    desk.path("alice.pem").write_text(content.lstrip())
    assert desk.sbsign(*OUT).returncode == 0


def test_a_pin_is_no_argument_and_is_not_repeated(desk: Desk) -> None:
    for words in (("--pin", "hunter2"), ("--pin-fd", "hunter2"), ("--pin-fd", "9" * 20)):
        done = desk.sbsign(*words, *OUT)
        assert is_refusal(done)
        assert words[1] not in done.stdout + done.stderr
    done = desk.sbsign("--pin", "739215", *OUT)
    assert (done.returncode, "739215" in done.stderr) == (1, False)


def test_a_name_with_an_escape_sequence_is_shown_escaped(desk: Desk) -> None:
    done = desk.sbsign(*OUT, "second\x1b[31m.efi")
    assert (done.returncode, "\x1b" in done.stderr) == (1, False)


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_given_to_nobody(closed: str, desk: Desk) -> None:
    words = f'"$0" -I -m tui sbsign --key alice.key --cert alice.pem {" ".join(OUT)} {closed}'
    done = subprocess.run(["sh", "-c", words, sys.executable], cwd=desk.folder, check=False)
    assert done.returncode == 0
    assert desk.run("sbverify", "--cert", "alice.pem", "signed.efi").returncode == 0


@refuses("KEY-FILE")
def test_a_key_of_impossible_numbers_is_refused(desk: Desk) -> None:
    key = load_pem_private_key(desk.path("alice.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    der = bytearray(
        key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    numbers = key.private_numbers()
    at = der.index(numbers.p.to_bytes(128, "big"))
    der[at + 127] ^= 1  # p is even
    desk.path("p.der").write_bytes(der)
    subprocess.run(
        ["openssl", "base64", "-in", "p.der", "-out", "p.b64"], cwd=desk.folder, check=True
    )
    body = desk.path("p.b64").read_text()
    desk.path("alice.key").write_text(
        f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\n"
    )
    done = desk.sbsign(*OUT)
    assert is_refusal(done)
    assert "KEY-FILE" in done.stderr or "SIG-VALUE" in done.stderr
    assert not desk.signed.exists()


@refuses("KEY-REHEARSAL")
def test_the_published_rehearsal_key_signs_nothing(desk: Desk) -> None:
    desk.path("r.key").write_bytes(soft._REHEARSAL_KEY_PEM)
    desk.path("r.pem").write_bytes(soft.REHEARSAL_CERTIFICATE_PEM)
    words = ("sbsign", "--key", "r.key", "--cert", "r.pem", *OUT)
    assert is_refusal(desk.run(*words), "KEY-REHEARSAL")


def test_of_two_bad_signatures_each_can_be_removed(desk: Desk) -> None:
    assert desk.sbsign("--output", "image.efi", "image.efi").returncode == 0
    assert desk.sbsign("--output", "image.efi", "image.efi", who="bob").returncode == 0
    content = bytearray(desk.image.read_bytes())
    content[0x400] ^= 1  # both signatures are of another image now
    desk.image.write_bytes(content)
    for _ in range(2):
        done = desk.run("sbattach", "--remove", "image.efi")
        assert done.returncode == 0, done.stderr
    done = desk.run("sbverify", "--list", "image.efi")
    assert "No signature table present" in done.stderr
