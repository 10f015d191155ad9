"""Words that nobody can read decide nothing, and what is no file takes no output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from marks import refuses
from sbsigntools.desk import SECONDS, Desk, is_refusal

FULL = Path("/dev/full")
SIGN = "sbsign --key alice.key --cert alice.pem --output signed.efi"


def status(desk: Desk, shell: str) -> int:
    """Return the exit status of one of our commands, `"$@"` in a line for the shell."""
    words = ["bash", "-o", "pipefail", "-c", shell, "bash", sys.executable, "-I", "-m", "tui"]
    return subprocess.run(
        words, cwd=desk.folder, capture_output=True, check=False, timeout=SECONDS
    ).returncode


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("image", "ends"), [("image.efi", 0), ("nothing.efi", 1)], ids=["signed", "refused"]
)
def test_a_full_disk_behind_standard_error_changes_no_status(
    image: str, ends: int, desk: Desk
) -> None:
    assert status(desk, f'"$@" {SIGN} {image} 2>/dev/full') == ends
    assert desk.signed.exists() == (ends == 0)


def test_a_pipe_that_is_no_longer_read_does_not_fail_a_signature(desk: Desk) -> None:
    assert status(desk, f'"$@" {SIGN} --verbose image.efi 2> >(exec true)') == 0
    assert desk.signed.exists()


@refuses("MED-SPECIAL")
def test_standard_output_takes_no_image_and_no_signature(desk: Desk) -> None:
    assert desk.sbsign("--output", "signed.efi", "image.efi").returncode == 0
    for done in (
        desk.sbsign("--output", "/dev/stdout", "image.efi"),
        desk.run("sbattach", "--detach", "/dev/stdout", "signed.efi"),
    ):
        assert is_refusal(done, "MED-SPECIAL", "/dev/stdout")
        assert not done.stdout
