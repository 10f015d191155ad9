"""systemd-sbsign's offline mode and our two phases use the same files.

The mode came with systemd 258. Where the installed one is older, that of Debian sid is
unpacked apart and run with its own C library.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pe.images import MOMENT, signer, uki

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = Path("/usr/lib/systemd/systemd-sbsign")
SECONDS = 400
TIME = MOMENT.strftime("%Y-%m-%dT%H:%M:%SZ")


def run(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )


def unpacked() -> Path:
    """Return the folder that holds sid's systemd-repart and all it needs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uki-ceremony"
    folder = cache / "peers" / f"sid-systemd-repart-{platform.machine()}"
    if not folder.is_dir():
        part = folder.with_name(f"{folder.name}.{os.getpid()}")
        archive = ROOT / "scripts" / "private_archive.py"
        words = (sys.executable, archive, "binary", "sid", "systemd-repart", part)
        part.parent.mkdir(parents=True, exist_ok=True)
        done = run(*words, folder=cache)
        if done.returncode != 0:
            assert "Traceback" not in done.stderr, done.stderr
            pytest.skip(f"systemd-sbsign of Debian sid: {done.stderr.strip()[-200:]}")
        part.rename(folder)
    return folder


@pytest.fixture(scope="module")
def systemd_sbsign() -> tuple[str, ...]:
    if INSTALLED.exists():
        version = run(INSTALLED, "--version", folder=Path("/")).stdout.split()
        if version[1:2] and version[1].isdecimal() and int(version[1]) > 257:
            return (str(INSTALLED),)
    root = unpacked()
    loaders = sorted(root.glob("usr/lib*/**/ld-linux-*.so.*"))
    folders = sorted(root.glob("usr/lib/*-linux-gnu*"))
    if not loaders or not folders:
        pytest.skip("systemd-sbsign of Debian sid has no dynamic loader among its packages")
    libraries = os.pathsep.join(f"{folder}{os.pathsep}{folder}/systemd" for folder in folders)
    program = str(root / "usr/lib/systemd/systemd-sbsign")
    words = (str(loaders[0]), "--library-path", libraries, program)
    done = run(*words, "--version", folder=Path("/"))
    assert done.returncode >= 0, f"crashed: {done}"
    if done.returncode != 0:
        pytest.skip(f"systemd-sbsign of Debian sid does not run here: {done.stderr[-200:]}")
    return words


def test_what_tbs_writes_goes_through_systemd_sbsign_to_the_same_image(
    systemd_sbsign: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "image.efi").write_bytes(uki())
    signer("alice").write(tmp_path, "alice")
    ours = (sys.executable, "-I", "-m", "tui")
    words: tuple[str, ...]
    words = ("tbs", "--cert", "alice.pem", "--time", TIME, "--output", "tbs", "image.efi")
    assert run(*ours, *words, folder=tmp_path).returncode == 0
    words = ("openssl", "dgst", "-sha256", "-sign", "alice.key", "-out", "sig", "tbs")
    assert run(*words, folder=tmp_path).returncode == 0
    names = ("--signed-data", "tbs", "--signed-data-signature", "sig")
    words = ("assemble", "--cert", "alice.pem", *names, "--output", "ours.efi", "image.efi")
    done = run(*ours, *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    options = [f"{name}={file}" for name, file in zip(names[::2], names[1::2], strict=True)]
    words = (*systemd_sbsign, "sign", "--certificate=alice.pem", *options)
    done = run(*words, "--output=theirs.efi", "image.efi", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ours.efi").read_bytes() == (tmp_path / "theirs.efi").read_bytes()


@pytest.mark.parametrize("curve", [None, ec.SECP256R1()], ids=["rsa", "p256"])
def test_what_systemd_sbsign_prepares_is_assembled(
    systemd_sbsign: tuple[str, ...], curve: ec.EllipticCurve | None, tmp_path: Path
) -> None:
    (tmp_path / "image.efi").write_bytes(uki())
    (signer("carol", curve=curve) if curve else signer("alice")).write(tmp_path, "by")
    words = (*systemd_sbsign, "sign", "--certificate=by.pem", "--prepare-offline-signing")
    done = run(*words, "--output=tbs", "image.efi", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    words = ("openssl", "dgst", "-sha256", "-sign", "by.key", "-out", "sig", "tbs")
    assert run(*words, folder=tmp_path).returncode == 0
    options = ("--signed-data", "tbs", "--signed-data-signature", "sig")
    ours = (sys.executable, "-I", "-m", "tui")
    words = ("assemble", "--cert", "by.pem", *options, "--output", "ours.efi", "image.efi")
    done = run(*ours, *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    given = [f"{name}={file}" for name, file in zip(options[::2], options[1::2], strict=True)]
    words = (*systemd_sbsign, "sign", "--certificate=by.pem", *given, "--output=theirs.efi")
    done = run(*words, "image.efi", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    if curve is None:  # for ECDSA it names the key's kind where sbsign names ECDSA with SHA-256
        assert (tmp_path / "ours.efi").read_bytes() == (tmp_path / "theirs.efi").read_bytes()
    for made in ("ours.efi", "theirs.efi"):
        done = run(*ours, "sbverify", "--cert", "by.pem", made, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        words = ("sbsign", "--key", "by.key", "--cert", "by.pem", "--output", "twice.efi", made)
        assert run(*ours, *words, folder=tmp_path).returncode == 0
    (tmp_path / "image.efi").write_bytes(uki(initrd=b"another"))
    words = ("assemble", "--cert", "by.pem", *options, "--output", "other.efi", "image.efi")
    done = run(*ours, *words, folder=tmp_path)
    assert (done.returncode, "SIG-DIGEST" in done.stderr) == (1, True)
    assert not (tmp_path / "other.efi").exists()
