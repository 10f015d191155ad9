"""Who verifies attestations besides us: a gpg loop, an ssh-keygen loop, in-toto's verifier.

Decides how each is asked to verify a sample of the same files; one that is not installed is
left out. Sources: gpg(1), ssh-keygen(1) ALLOWED SIGNERS, in_toto.verifylib.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOOP, LINKS = 100, 200

Command = tuple[tuple[str, ...], Path | None]  # its words, and the file it reads, if any

IN_TOTO = """
import sys, time
from pathlib import Path
from in_toto.models.layout import Layout, Step
from in_toto.models.link import Link
from in_toto.models.metadata import Envelope, Metablock
from in_toto.verifylib import in_toto_verify
from securesystemslib.signer import CryptoSigner

folder, count = Path(sys.argv[1]), int(sys.argv[2])
owner = CryptoSigner.generate_ed25519()
signers = [CryptoSigner.generate_ed25519() for _ in range(count)]
for signer in signers:
    link = Link(name="build", products={"anchor.efi": {"sha256": "0" * 64}})
    block = Metablock(signed=link)
    block.create_signature(signer)
    block.dump(str(folder / f"build.{signer.public_key.keyid[:8]}.link"))
step = Step(name="build", pubkeys=[s.public_key.keyid for s in signers], threshold=count)
def key(signer):
    return dict(signer.public_key.to_dict(), keyid=signer.public_key.keyid)
layout = Layout(steps=[step], keys={s.public_key.keyid: key(s) for s in signers})
layout.set_relative_expiration(days=1)
root = Metablock(signed=layout)
root.create_signature(owner)
began = time.perf_counter()
in_toto_verify(root, {owner.public_key.keyid: key(owner)}, link_dir_path=str(folder))
print(time.perf_counter() - began)
"""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A peer: `run` verifies `sample` attestations and returns its seconds."""

    name: str
    sample: int
    run: Callable[[], float]


def find_peers(folder: Path, release: Path, in_toto: Path | None) -> tuple[Sampled, ...]:
    """Return those that are installed."""
    folder.mkdir()
    found = []
    if shutil.which("gpg"):
        found.append(_gpg(folder, release))
    if shutil.which("ssh-keygen"):
        found.append(_ssh_keygen(folder, release))
    here = importlib.util.find_spec("in_toto") is not None
    if in_toto is not None or here:
        found.append(_in_toto(folder, in_toto or Path(sys.executable)))
    return tuple(found)


def _timed(commands: list[Command], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    for command, content in commands:
        with open(content or os.devnull, "rb") as stdin:  # noqa: PTH123 - /dev/null too
            subprocess.run(
                command, stdin=stdin, check=True, capture_output=True, env=environment, timeout=60
            )
    return time.perf_counter() - began


def _gpg(folder: Path, release: Path) -> Sampled:
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home), "LC_ALL": "C"}
    keys = release / "openpgp.keys"
    subprocess.run(
        ("gpg", "-q", "--batch", "--import", str(keys)), check=True, env=environment, timeout=60
    )
    signatures = sorted((release / "media").glob("openpgp-*.asc"))[:LOOP]
    words = ("gpg", "-q", "--batch", "--trust-model", "always", "--verify")
    commands: list[Command] = [
        ((*words, str(path), str(path.with_suffix(""))), None) for path in signatures
    ]
    return Sampled(
        "gpg --verify, a process each", len(commands), lambda: _timed(commands, environment)
    )


def _ssh_keygen(folder: Path, release: Path) -> Sampled:
    allowed = folder / "allowed"
    signatures = sorted((release / "media").glob("sshsig-*.sig"))[:LOOP]
    allowed.write_text((release / "ssh.keys").read_text("ascii"), "ascii")
    commands: list[Command] = []
    for path in signatures:
        builder = path.name.partition(".")[0]
        words = ("ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", builder)
        more = ("-n", "uki-attestation", "-s", str(path))
        commands.append(((*words, *more), path.with_suffix("")))
    return Sampled(
        "ssh-keygen -Y verify, a process each",
        len(commands),
        lambda: _timed(commands, dict(os.environ)),
    )


def _in_toto(folder: Path, python: Path) -> Sampled:
    def run() -> float:
        links = folder / "links"
        shutil.rmtree(links, ignore_errors=True)
        links.mkdir()
        done = subprocess.run(
            (str(python), "-c", IN_TOTO, str(links), str(LINKS)),
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
            cwd=folder,
        )
        return float(done.stdout)

    return Sampled(f"in_toto_verify, {LINKS} Ed25519 links of one step", LINKS, run)
