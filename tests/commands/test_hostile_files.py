"""What one-shot commands are given by strangers: links, pipes, holes, names, nests, locked keys."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from marks import accepts, refuses

from ceremony.content import octets_of
from ceremony.errors import MediaTrouble, Refused
from ceremony.ingest.reading import MOST_FILES, read_folder, read_regular
from tui import attesting, ssh_keys
from tui.commands.files import copy_image, taken_image

CLAIM = attesting.Claim("ci", "anchor.efi", "0" * 64, (), datetime(2026, 11, 22, tzinfo=UTC))
PEM = (Encoding.PEM, PrivateFormat.PKCS8)
DER = (Encoding.DER, PrivateFormat.PKCS8)
SSH = (Encoding.PEM, PrivateFormat.OpenSSH)
LOCKED = BestAvailableEncryption(b"secret")


def rule(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        act()
    return refused.value.findings[0].rule


def hole(path: Path) -> Path:
    path.touch()
    os.truncate(path, 2**40)
    return path


@accepts("MED-SPECIAL", "MED-SIZE")
def test_a_regular_file_is_read_up_to_its_cap(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1234")
    assert read_regular(tmp_path / "x", 4) == b"1234"
    assert (
        octets_of(copy_image(tmp_path / "x")) == octets_of(taken_image(tmp_path / "x")) == b"1234"
    )
    assert rule(lambda: read_regular(tmp_path / "x", 3)) == "MED-SIZE"


Take = Callable[[Path], object]
TAKES = pytest.mark.parametrize("take", [copy_image, taken_image])


@TAKES
@refuses("MED-SPECIAL")
def test_an_image_that_is_a_link_or_a_pipe_or_a_device(take: Take, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "link", tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        assert rule(partial(take, path)) == "MED-SPECIAL"


@refuses("MED-SPARSE")
def test_an_image_with_a_hole_is_looked_at_as_a_ceremony_would(tmp_path: Path) -> None:
    image = tmp_path / "anchor.efi"
    image.touch()
    os.truncate(image, 2**16)
    assert octets_of(copy_image(image)) == bytes(2**16)  # its digest says whether it is the one
    assert rule(lambda: taken_image(image)) == "MED-SPARSE"


@TAKES
@refuses("MED-SIZE")
def test_an_image_of_a_tebibyte_is_refused_unread(take: Take, tmp_path: Path) -> None:
    assert rule(lambda: take(hole(tmp_path / "anchor.efi"))) == "MED-SIZE"


@refuses("MED-SIZE")
def test_a_file_that_says_it_is_empty_is_read_no_further_than_its_cap() -> None:
    assert Path("/proc/self/mountinfo").stat().st_size == 0
    assert rule(lambda: read_regular(Path("/proc/self/mountinfo"), 10)) == "MED-SIZE"


@TAKES
@refuses("MED-PATH")
def test_an_image_that_is_not_there_is_told_in_ascii(take: Take, tmp_path: Path) -> None:
    with pytest.raises(MediaTrouble) as trouble:
        take(tmp_path / os.fsdecode(b"\xff\x1b[2J"))
    assert trouble.value.text.isascii()
    assert trouble.value.text.isprintable()


@accepts("TRN-BUNDLE")
def test_a_bundle_is_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/b").write_bytes(b"2")
    (tmp_path / "in-by").write_bytes(b"3")
    (tmp_path / "a").write_bytes(b"1")
    found = read_folder(tmp_path)
    assert list(found.items()) == [("a", b"1"), ("in-by", b"3"), ("in/b", b"2")]


@refuses("TRN-BUNDLE")
@pytest.mark.parametrize("name", [b"\xff", b"a\nb", b"a\x1b[2J", b"\xc2\x85"])
def test_names_in_a_bundle_are_utf_8_without_control_characters(
    tmp_path: Path, name: bytes
) -> None:
    (tmp_path / os.fsdecode(name)).write_bytes(b"")
    assert rule(lambda: read_folder(tmp_path)) == "TRN-BUNDLE"


@refuses("TRN-BUNDLE")
def test_a_bundle_file_of_a_tebibyte_is_refused_unread(tmp_path: Path) -> None:
    hole(tmp_path / "anchor.signed.efi")
    assert rule(lambda: read_folder(tmp_path)) == "TRN-BUNDLE"


@refuses("TRN-BUNDLE")
def test_the_files_of_a_bundle_are_held_to_one_cap(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"1234")
    assert len(read_folder(tmp_path, most_bytes=12)) == 3
    assert rule(lambda: read_folder(tmp_path, most_bytes=11)) == "TRN-BUNDLE"


@refuses("TRN-BUNDLE")
def test_links_and_pipes_in_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to(tmp_path)
    assert rule(lambda: read_folder(tmp_path)) == "TRN-BUNDLE"
    (tmp_path / "x").unlink()
    os.mkfifo(tmp_path / "x")
    assert rule(lambda: read_folder(tmp_path)) == "TRN-BUNDLE"


@refuses("TRN-BUNDLE")
def test_1900_nested_folders_are_refused_and_not_climbed(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1900):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    assert rule(lambda: read_folder(tmp_path)) == "TRN-BUNDLE"
    flatten(tmp_path)


def flatten(folder: Path) -> None:
    """Remove a nest that is deeper than shutil.rmtree can climb."""
    fresh = folder / "e"
    while (folder / "d").exists():
        if (folder / "d/d").exists():
            (folder / "d/d").rename(fresh)
        (folder / "d").rmdir()
        if fresh.exists():
            fresh.rename(folder / "d")


@refuses("TRN-BUNDLE")
def test_the_files_of_a_bundle_are_counted(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"f{number}").write_bytes(b"")
    assert len(read_folder(tmp_path, most_files=20)) == 20
    assert rule(lambda: read_folder(tmp_path, most_files=19)) == "TRN-BUNDLE"
    assert MOST_FILES == 50_000


@refuses("KEY-PRIVATE")
def test_an_ssh_key_that_is_locked_or_of_another_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cipher in ("aes256-ctr", "3des-cbc"):
        words = ["-q", "-t", "ed25519", "-N", "secret", "-Z", cipher, "-f", tmp_path / cipher]
        subprocess.run(["ssh-keygen", *words], check=True)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    ed25519 = Ed25519PrivateKey.generate()
    keys = {
        "locked": (tmp_path / "aes256-ctr").read_bytes(),
        "locked by an old cipher": (tmp_path / "3des-cbc").read_bytes(),
        "rsa": rsa.generate_private_key(65537, 2048).private_bytes(*SSH, NoEncryption()),
        "cut": ed25519.private_bytes(*SSH, NoEncryption())[:-50],
        "unknown": ed25519.private_bytes(*SSH, NoEncryption()).replace(b"b3BlbnNza", b"b3BlbnNzb"),
    }
    for name, data in keys.items():
        (tmp_path / name).write_bytes(data)
        assert rule(partial(ssh_keys.sign, tmp_path / name, "n", b"")) == "KEY-PRIVATE"
    (tmp_path / "good").write_bytes(ed25519.private_bytes(*SSH, NoEncryption()))
    assert ssh_keys.sign(tmp_path / "good", "n", b"").startswith(b"-----BEGIN SSH SIGNATURE")
    with pytest.raises(MediaTrouble, match="KEY-PRIVATE"):
        ssh_keys.sign(tmp_path / "nothing", "n", b"")


@refuses("KEY-PRIVATE")
def test_a_pem_key_that_is_locked_or_of_an_unsupported_kind() -> None:
    locked = Ed25519PrivateKey.generate().private_bytes(*PEM, LOCKED)
    other = dsa.generate_private_key(1024).private_bytes(*PEM, NoEncryption())
    p256 = ec.generate_private_key(ec.SECP256R1()).private_bytes(*DER, NoEncryption())
    prime239 = p256.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030104"))
    unsupported = pem(prime239)
    for key in (locked, other, unsupported, pem(b"\0"), pem(b"")):
        assert rule(partial(attesting.dsse, CLAIM, key)) == "KEY-PRIVATE"


def pem(der: bytes) -> bytes:
    text = base64.encodebytes(der)
    return b"-----BEGIN PRIVATE KEY-----\n" + text + b"-----END PRIVATE KEY-----\n"
