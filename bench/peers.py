"""Who signs besides us, where each is found, and with which words it signs one image.

Decides between the installed program and the one of Debian 13, unpacked apart and run with its
own libraries; one that can be had in neither way is left out, with the reason. It refuses to
know what the signing costs.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "scripts" / "private_archive.py"
SUITE = "trixie"
FETCHING = 900  # seconds
NICKNAME = "bench"
FLOOR = 'openssl dgst -sha256 "$0" && cp "$0" "$1"'


class Absent(Exception):
    """A peer that cannot be had on this machine, and why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The throw-away key of the benchmark: PEM key and certificate, PKCS#12 without password."""

    key: Path
    certificate: Path
    bundle: Path


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that signs: `sign(image, output)` gives the words of its command line."""

    name: str
    version: str
    sign: Callable[[Path, Path], tuple[str, ...]]
    environment: dict[str, str] = field(default_factory=dict)


def ours(command: Path, identity: Identity) -> Peer:
    """Return our own command, as installed."""
    words = (str(command), "--key", str(identity.key), "--cert", str(identity.certificate))
    version = _said(str(command), "--version")
    return Peer(
        "uki-sbsign", version, lambda image, out: (*words, "--output", str(out), str(image))
    )


def floor() -> Peer:
    """Return what no signer can avoid: one SHA-256 and one copy, by OpenSSL and cp."""
    _installed("openssl", "cp")
    words = ("sh", "-c", FLOOR)
    return Peer(
        "floor: openssl dgst -sha256, then cp",
        _said("openssl", "version"),
        lambda image, out: (*words, str(image), str(out)),
    )


def sbsign(identity: Identity) -> Peer:
    """Return the installed sbsign."""
    _installed("sbsign")
    words = ("sbsign", "--key", str(identity.key), "--cert", str(identity.certificate))
    version = _said("sbsign", "--version")
    return Peer("sbsign", version, lambda image, out: (*words, "--output", str(out), str(image)))


def osslsigncode(identity: Identity) -> Peer:
    """Return the installed osslsigncode."""
    _installed("osslsigncode")
    key = ("-key", str(identity.key), "-certs", str(identity.certificate))
    words = ("osslsigncode", "sign", "-h", "sha256", *key)
    version = _said("osslsigncode", "--version").partition(",")[0]
    return Peer(
        "osslsigncode",
        version,
        lambda image, out: (*words, "-in", str(image), "-out", str(out)),
    )


def systemd_sbsign(identity: Identity, cache: Path) -> Peer:
    """Return systemd-sbsign, which no path holds: it stands among systemd's own programs."""
    installed = Path("/usr/lib/systemd/systemd-sbsign")
    if installed.exists():
        program: tuple[str, ...] = (str(installed),)
        version = _said(*program, "--version")
    else:
        root, version = _unpacked(cache, "systemd-repart")
        program = _within(root, "usr/lib/systemd/systemd-sbsign")
    key = ("--private-key", str(identity.key), "--certificate", str(identity.certificate))
    words = (*program, "sign", *key)
    return Peer(
        "systemd-sbsign", version, lambda image, out: (*words, "--output", str(out), str(image))
    )


def pesign(identity: Identity, cache: Path, database: Path) -> Peer:
    """Return pesign with an NSS database in `database` that holds the key."""
    names = ("pesign", "certutil", "pk12util")
    tools: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    if all(shutil.which(name) for name in names):
        version = _said("dpkg-query", "-W", "-f", "${Version}", "pesign")  # it tells none itself
    else:
        root, version = _unpacked(cache, "pesign", "libnss3-tools")
        tools = {name: _within(root, f"usr/bin/{name}") for name in names}
    database.mkdir()
    where = ("-d", str(database))
    _said(*tools["certutil"], "-N", *where, "--empty-password")
    _said(*tools["pk12util"], "-i", str(identity.bundle), *where, "-W", "")
    words = (*tools["pesign"], "-n", str(database), "-c", NICKNAME, "-s", "-f")
    return Peer("pesign", version, lambda image, out: (*words, "-i", str(image), "-o", str(out)))


def _installed(*programs: str) -> None:
    lacking = [program for program in programs if shutil.which(program) is None]
    if lacking:
        raise Absent(f"{', '.join(lacking)} not installed")


def _said(*words: str) -> str:
    """Run a short command; return the first line that it says."""
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=60)
    if done.returncode != 0:
        raise Absent(f"{' '.join(words)}: {done.stderr.strip()[-300:]}")
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else ""


def _unpacked(cache: Path, *packages: str) -> tuple[Path, str]:
    """Return packages of Debian 13 and all they need, unpacked, and the first one's version."""
    root = cache / "peers" / f"{SUITE}-{packages[0]}-{platform.machine()}"
    note = root.with_suffix(".version")
    if not note.exists():
        shutil.rmtree(root, ignore_errors=True)
        versions = []
        for package in packages:
            done = subprocess.run(
                [sys.executable, ARCHIVE, "binary", SUITE, package, root],
                capture_output=True,
                check=False,
                text=True,
                timeout=FETCHING,
            )
            if done.returncode != 0:
                raise Absent(f"{package} of Debian {SUITE}: {done.stderr.strip()[-300:]}")
            versions.append(done.stdout.strip())
        note.write_text(versions[0], "ascii")
    return root, note.read_text("ascii")


def _within(root: Path, program: str) -> tuple[str, ...]:
    """Return the words that run a program of `root` with the libraries of `root` alone."""
    loaders = sorted(root.glob("usr/lib*/**/ld-linux-*.so.*"))
    if not loaders:
        raise Absent(f"{program}: no dynamic loader among its packages")
    folders = sorted(root.glob("usr/lib/*-linux-gnu*"))
    within = [folder / name for folder in folders for name in ("", "systemd", "nss")]
    paths = os.pathsep.join(str(path) for path in within if path.is_dir())
    return (str(loaders[0]), "--library-path", paths, str(root / program))
