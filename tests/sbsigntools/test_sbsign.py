"""sbsign as build systems call it: sbsign's own bytes, or a refusal and no file."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from marks import accepts, refuses
from pe.images import pe_image, pem, signer, uki, uki_parts
from sbsigntools.desk import SECONDS, TIME, Desk, is_refusal

from hsm.binding import find_module

MUST_NOT_LOAD = (
    *("textual", "qrcode", "pyzbar", "pkcs11"),
    *("ceremony.engine", "ceremony.states", "ceremony.token", "ceremony.pin_parts"),
)


def test_the_signed_file_is_sbsigns(desk: Desk) -> None:
    done = desk.sbsign("--output", "signed.efi", "image.efi")
    assert (done.returncode, done.stderr) == (0, "Signing Unsigned original image\n")
    assert desk.signed.read_bytes() == desk.theirs("image.efi").read_bytes()
    assert desk.signed.stat().st_mode & 0o777 == 0o644


def test_options_may_follow_the_image_be_cut_short_and_joined(desk: Desk) -> None:
    # As ukify calls sbsign: sbsign --key K --cert C IN --output OUT
    done = desk.sbsign("image.efi", "--outp=signed.efi")
    assert done.returncode == 0, done.stderr
    assert desk.signed.read_bytes() == desk.theirs("image.efi").read_bytes()


def test_the_detached_signature_is_sbsigns_and_so_are_the_default_names(desk: Desk) -> None:
    assert desk.sbsign("image.efi").returncode == 0
    assert desk.sbsign("--detached", "image.efi").returncode == 0
    assert desk.path("image.efi.signed").read_bytes() == desk.theirs("image.efi").read_bytes()
    theirs = desk.theirs("--detached", "image.efi").read_bytes()
    assert desk.path("image.efi.pk7").read_bytes() == theirs


def test_a_second_signature_goes_behind_the_first_and_the_output_may_be_the_input(
    desk: Desk,
) -> None:
    desk.image.write_bytes(pe_image(uki_parts(), overlay=b"odd"))
    for who in ("alice", "bob"):
        theirs = desk.theirs("image.efi", who=who).read_bytes()
        done = desk.sbsign("--output", "image.efi", "image.efi", who=who)
        assert done.returncode == 0, done.stderr
        assert desk.image.read_bytes() == theirs
    assert done.stderr.startswith("Image was already signed; adding additional signature")


def test_added_certificates_stand_in_the_order_given_twice_too(desk: Desk) -> None:
    one, other = pem(desk.alice.certificate), pem(desk.bob.certificate)
    seen = set()
    for bundle in (one + other, other + one, other + other + one):
        desk.path("chain.pem").write_text(bundle)
        done = desk.sbsign("--addcert", "chain.pem", "--output", "signed.efi", "image.efi")
        assert done.returncode == 0, done.stderr
        theirs = desk.theirs("--addcert", "chain.pem", "image.efi").read_bytes()
        assert desk.signed.read_bytes() == theirs
        seen.add(theirs)
    assert len(seen) == 3


def test_no_addcert_is_lost_when_there_are_several(desk: Desk) -> None:
    desk.path("one.pem").write_text(pem(desk.bob.certificate))
    desk.path("two.pem").write_text(pem(desk.alice.certificate))
    desk.path("both.pem").write_text(pem(desk.bob.certificate) + pem(desk.alice.certificate))
    words = ("--addcert", "one.pem", "--addcert", "two.pem", "--output", "signed.efi")
    assert desk.sbsign(*words, "image.efi").returncode == 0
    theirs = desk.theirs("--addcert", "both.pem", "image.efi").read_bytes()
    assert desk.signed.read_bytes() == theirs


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_an_ecdsa_key_signs_with_a_warning(curve: ec.EllipticCurve, desk: Desk) -> None:
    signer("carol", curve=curve).write(desk.folder, "carol")
    done = desk.sbsign("--output", "signed.efi", "image.efi", who="carol")
    assert done.returncode == 0
    assert "warn   SIG-KEY: firmware" in done.stderr
    assert desk.run("sbverify", "--cert", "carol.pem", "signed.efi").returncode == 0


@pytest.mark.parametrize("word", ["--nope", "--key-file=x", "-x", "--detached=yes"])
def test_an_unknown_option_signs_nothing(word: str, desk: Desk) -> None:
    before = desk.names()
    done = desk.sbsign("--output", "signed.efi", word, "image.efi")
    assert (done.returncode, desk.names()) == (1, before)
    assert "usage" in done.stderr


@refuses("KEY-MATCH")
def test_a_key_that_is_not_the_certificates_signs_nothing(desk: Desk) -> None:
    before = desk.names()
    done = desk.run(
        "sbsign", "--key", "alice.key", "--cert", "bob.pem", "--output", "signed.efi", "image.efi"
    )
    assert is_refusal(done, "KEY-MATCH")
    assert desk.names() == before


def locked(desk: Desk, passphrase: bytes) -> None:
    key = desk.alice.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase)
    )
    desk.path("alice.key").write_bytes(key)


@accepts("KEY-FILE", "KEY-PIN-ENTRY")
def test_a_passphrase_comes_in_by_a_descriptor(desk: Desk) -> None:
    plain = desk.theirs("image.efi").read_bytes()
    locked(desk, b"correct horse")
    done = desk.sbsign(
        "--pin-fd", "0", "--output", "signed.efi", "image.efi", answers=b"correct horse\n"
    )
    assert done.returncode == 0, done.stderr
    assert desk.signed.read_bytes() == plain


@refuses("KEY-FILE")
@pytest.mark.parametrize("content", [b"", b"no key\n", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key(content: bytes, desk: Desk) -> None:
    desk.path("alice.key").write_bytes(content)
    done = desk.sbsign("--output", "signed.efi", "image.efi")
    assert is_refusal(done, "KEY-FILE")
    assert not desk.signed.exists()


@refuses("KEY-FILE", "KEY-PIN-ENTRY")
@pytest.mark.parametrize(
    ("answers", "option", "rule"),
    [
        (b"wrong\n", ("--pin-fd", "0"), "KEY-FILE"),
        (b"", ("--pin-fd", "0"), "KEY-PIN-ENTRY"),
        (b"correct horse\n", ("--pin-fd", "77"), "KEY-PIN-ENTRY"),
        (b"correct horse\n", (), "KEY-PIN-ENTRY"),
    ],
)
def test_no_right_passphrase_no_signature(
    answers: bytes, option: tuple[str, ...], rule: str, desk: Desk
) -> None:
    locked(desk, b"correct horse")
    words = ("sbsign", "--key", "alice.key", "--cert", "alice.pem", *option)
    done = desk.run(*words, "--output", "signed.efi", "image.efi", answers=answers)
    assert is_refusal(done, rule)
    assert not desk.signed.exists()


def make_hostile(kind: str, image: Path) -> socket.socket | None:
    """Put something else in the image's place; a socket must be kept to stay."""
    content = image.read_bytes()
    image.unlink()
    match kind:
        case "pipe":
            os.mkfifo(image)
        case "socket":
            made = socket.socket(socket.AF_UNIX)
            with contextlib.chdir(image.parent):  # a socket's path has at most 107 characters
                made.bind(image.name)
            return made
        case "folder":
            image.mkdir()
        case "device":
            image.symlink_to("/dev/null")
        case "link elsewhere":
            (image.parent / "other").mkdir()
            (image.parent / "other/image.efi").write_bytes(content)
            image.symlink_to("other/image.efi")
        case "sparse":
            with image.open("wb") as file:
                file.write(content[:1024])
                file.truncate(1 << 20)
        case _:
            pass
    return None


@refuses("MED-SPECIAL", "MED-SPARSE", "MED-PATH")
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("pipe", "MED-SPECIAL"),
        ("socket", "MED-SPECIAL"),
        ("folder", "MED-SPECIAL"),
        ("device", "MED-SPECIAL"),
        ("link elsewhere", "MED-SPECIAL"),
        ("sparse", "MED-SPARSE"),
        ("nothing", "MED-PATH"),
    ],
)
def test_what_is_no_plain_file_is_refused_by_name(kind: str, rule: str, desk: Desk) -> None:
    kept = make_hostile(kind, desk.image)
    done = desk.sbsign("--output", "signed.efi", "image.efi")
    assert is_refusal(done, rule, "image.efi")
    assert not desk.signed.exists()
    if kept:
        kept.close()


@accepts("MED-SPECIAL", "MED-SPARSE", "MED-PATH")
def test_a_link_to_a_neighbour_is_followed(desk: Desk) -> None:
    desk.path("vmlinuz").symlink_to("image.efi")
    done = desk.sbsign("--output", "signed.efi", "vmlinuz")
    assert done.returncode == 0, done.stderr
    assert desk.signed.read_bytes() == desk.theirs("image.efi").read_bytes()


@refuses("MED-SPECIAL")
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_an_output_that_is_no_file_is_refused(kind: str, desk: Desk) -> None:
    desk.signed.write_bytes(b"")
    make_hostile(kind, desk.signed)
    done = desk.sbsign("--output", "signed.efi", "image.efi")
    assert is_refusal(done, "MED-SPECIAL")


def test_what_stood_in_the_output_stays_when_nothing_is_signed(desk: Desk) -> None:
    desk.signed.write_bytes(b"the last release")
    desk.signed.chmod(0o600)
    desk.image.write_bytes(uki()[:-1024])
    before = desk.names()
    done = desk.sbsign("--output", "signed.efi", "image.efi")
    assert is_refusal(done, "PE-SECTION-EOF")
    assert (desk.signed.read_bytes(), desk.names()) == (b"the last release", before)
    desk.image.write_bytes(uki())
    assert desk.sbsign("--output", "signed.efi", "image.efi").returncode == 0
    assert desk.signed.stat().st_mode & 0o777 == 0o600


@refuses("MED-WRITE")
def test_a_full_disk_leaves_nothing(desk: Desk) -> None:
    before = desk.names()
    words = [sys.executable, "-I", "-m", "tui", "sbsign", "--key", "alice.key"]
    words += ["--cert", "alice.pem", "--output", "signed.efi", "image.efi"]
    limited = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *words]  # 8 blocks of 512 bytes
    done = subprocess.run(
        limited, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=desk.folder
    )
    assert is_refusal(done, "MED-WRITE")
    assert desk.names() == before


def test_a_killed_process_leaves_no_output(desk: Desk) -> None:
    locked(desk, b"correct horse")
    before = desk.names()
    reader, writer = os.pipe()
    words = [sys.executable, "-I", "-m", "tui", "sbsign", "--key", "alice.key", "--cert"]
    words += ["alice.pem", "--pin-fd", str(reader), "--output", "signed.efi", "image.efi"]
    with subprocess.Popen(words, cwd=desk.folder, pass_fds=(reader,)) as process:
        time.sleep(1.0)  # it waits for the passphrase; the copy is made meanwhile
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    os.close(reader)
    os.close(writer)
    assert desk.names() == before


def test_the_command_loads_neither_screens_nor_the_engine(desk: Desk) -> None:
    program = (
        "import sys; from tui.entry import start; status = start(sys.argv[1:]); "
        f"print(status, [name for name in {MUST_NOT_LOAD!r} if name in sys.modules])"
    )
    words = [sys.executable, "-I", "-c", program, "sbsign", "--key", "alice.key", "--cert"]
    words += ["alice.pem", "--output", "signed.efi", "image.efi"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=desk.folder)
    assert done.stdout == "0 []\n", done.stderr


def import_into_token(desk: Desk) -> None:
    """Put alice's key into a new SoftHSM token, and the binding file beside it."""
    util, module = shutil.which("softhsm2-util"), find_module()
    if util is None or module is None:
        pytest.skip("softhsm2 is not installed")
    (desk.folder / "tokens").mkdir()
    configuration = desk.path("softhsm2.conf")
    configuration.write_text(f"directories.tokendir = {desk.folder}/tokens\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(configuration)}
    for words in (
        "--init-token --free --label release --pin 2468 --so-pin 13579",
        "--import alice.key --token release --label uki --id 01 --pin 2468",
    ):
        subprocess.run(
            [util, *words.split()],
            env=environment, cwd=desk.folder, capture_output=True, check=True,
        )  # fmt: skip
    desk.path("machine.toml").write_text(
        f'module = "{module}"\n[environment]\nSOFTHSM2_CONF = "{configuration}"\n'
    )


def test_a_key_on_a_token_gives_the_bytes_of_the_key_in_a_file(desk: Desk) -> None:
    import_into_token(desk)
    words = ["sbsign", "--engine", "pkcs11", "--key", "pkcs11:token=release;object=uki", "--cert"]
    words += ["alice.pem", "--machine", "machine.toml", "--time", TIME, "--pin-fd", "0"]
    words += ["--output", "signed.efi", "image.efi"]
    wrong = desk.run(*words, answers=b"1111\n")
    assert is_refusal(wrong, "KEY-PIN-WRONG")
    assert not desk.signed.exists()
    done = desk.run(*words, answers=b"2468\n")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("KEY-SOFTWARE") == 1
    assert desk.signed.read_bytes() == desk.theirs("image.efi").read_bytes()
    spoken = desk.run(*(w.replace("object=uki", "object=uki?pin-value=2468") for w in words))
    assert is_refusal(spoken, "KEY-URI")
    assert "2468" not in spoken.stdout + spoken.stderr


@accepts("KEY-PIN-ENTRY")
@pytest.mark.parametrize(("typed", "status"), [(b"correct horse\n", 0), (b"wrong\n", 1)])
def test_a_passphrase_is_asked_on_the_terminal_and_not_shown(
    typed: bytes, status: int, desk: Desk
) -> None:
    locked(desk, b"correct horse")
    words = [sys.executable, "-I", "-m", "tui", "sbsign", "--key", "alice.key", "--cert"]
    words += ["alice.pem", "--output", "signed.efi", "image.efi"]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(desk.folder)
        os.execv(words[0], words)
    shown = b""
    while b"(not shown): " not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, typed)
    with contextlib.suppress(OSError):  # Linux says EIO when the other side has gone
        while more := os.read(terminal, 1024):
            shown += more
    _, ended = os.waitpid(child, 0)
    os.close(terminal)
    assert (os.waitstatus_to_exitcode(ended), desk.signed.exists()) == (status, status == 0)
    assert typed.strip() not in shown
