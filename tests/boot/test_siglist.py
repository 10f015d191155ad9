"""Signature lists: what virt-firmware writes for the same entries, and what UEFI says."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from hashlib import sha256
from pathlib import Path

import pytest
from boot.people import People
from boot.siglist import OWNER, signature_list

from ceremony.types import Digest, DigestKind

TOOL = shutil.which("virt-fw-sigdb", path=sysconfig.get_path("scripts")) or shutil.which(
    "virt-fw-sigdb"
)
DIGESTS = [
    Digest(DigestKind.AUTHENTICODE_SHA256, sha256(text).digest()) for text in (b"one", b"other")
]


@pytest.mark.skipif(TOOL is None, reason="virt-fw-sigdb (virt-firmware) is not installed")
def test_virt_firmware_writes_the_same_bytes(people: People, tmp_path: Path) -> None:
    assert TOOL
    output, owner = tmp_path / "list.esl", str(OWNER)
    command: list[str | Path] = [TOOL, "--output", output]
    for name in ("ours", "p256"):
        _, certificate = people[name].write(tmp_path, name)
        command += ["--add-cert", owner, certificate]
    for digest in DIGESTS:
        command += ["--add-hash", owner, digest.hex]
    subprocess.run(command, capture_output=True, check=True, timeout=90)
    ours = signature_list(people.certificates(("ours", "p256")), DIGESTS)
    assert output.read_bytes() == ours


def test_a_certificate_by_its_hash_is_48_bytes_behind_the_owner(people: People) -> None:
    made = signature_list(by_hash=people.certificates(("ours", "p256")))
    assert made[16:28] == (28 + 2 * 64).to_bytes(4, "little") + bytes(4) + b"\x40\0\0\0"
    assert len(made) == 28 + 2 * 64
    assert made[28:44] == made[92:108] == OWNER.bytes_le
    assert made[76:92] == bytes(16)


def test_nothing_gives_no_list() -> None:
    assert signature_list() == b""
