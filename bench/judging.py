"""Measure judging against its peers and against the bare signature checks, in one run.

    .venv/bin/python bench/quorum [--rounds N] [--in-toto PYTHON] [--output FILE]

Every round runs ours, the bare checks of the same signatures, and a sample of each peer, one
after the other, so that a busy machine is busy for all; ratios are medians over rounds. Peers
that start a process a signature are sampled and scaled, and said to be. Files lie in /dev/shm.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import pickle
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from attestations import Bare
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from judged_release import NAME, make_release, sha256_of
from judging_peers import Sampled, find_peers
from judging_report import FEW, MEGABYTES, Figures, report
from material import make_identity, make_image
from measuring import Cost

from ceremony.blobs import from_blob
from ceremony.ingest import limits
from ceremony.ingest.media import FolderMedia
from ceremony.policy import load
from ceremony.quorum import judge
from ceremony.types import Digest, DigestKind, ImageFacts, Meaning

MEMORY = Path("/dev/shm")  # noqa: S108 - the figures are about judging, not about a disk
BUILDERS = 48
GROWTH = (1_000, 10_000, 100_000)
IMAGE = b"the image"
SHA256 = hashlib.sha256(IMAGE).hexdigest()


def main() -> int:
    """Measure what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", default=",".join(map(str, GROWTH)))
    parser.add_argument("--in-toto", type=Path, help="a Python that has in-toto, if not this one")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", choices=tuple(SERVED), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        return SERVED[asked.serve](asked.folder)
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="bench-") as scratch:
        text = report(asked.count, BUILDERS, run(Path(scratch), asked))
    print(text, end="")
    if asked.output:
        asked.output.write_text(text, "utf-8")
    return 0


def run(scratch: Path, asked: argparse.Namespace) -> Figures:
    """Make the releases and measure them, round by round."""
    identity = make_identity(scratch)
    certificate = identity.certificate.read_text("ascii")
    print(f"making {asked.count:,} attestations", file=sys.stderr)
    image = scratch / NAME
    make_image(image, 1)
    many = make_release(scratch / "many", BUILDERS, asked.count, sha256_of(image), certificate)
    image.rename(many / NAME)
    make_image(image, MEGABYTES)
    few = make_release(scratch / "few", FEW, FEW, sha256_of(image), certificate)
    image.rename(few / NAME)
    peers = find_peers(scratch / "peers", many, asked.in_toto)
    figures = Figures([], [], [], [], [], [], [], [], [], {peer.name: [] for peer in peers})
    for number in range(asked.rounds + 1):
        print(f"round {number} of {asked.rounds} (0 warms up)", file=sys.stderr)
        cost, inside, judged = _served("judge", many)
        _, bare, _ = _served("bare", many)
        _, fetched, _ = _served("fetched", many)
        released, _, _ = _served("check", few)
        apart, _, _ = _served("check", many)
        times = {peer.name: _scaled(peer, asked.count) for peer in peers}
        if number:
            figures.judged.append(cost)
            figures.inside.append(inside)
            figures.alone.append(judged)
            figures.bare.append(bare)
            figures.fetched.append(fetched)
            figures.walls.append((_wall(many, "judge"), _wall(many, "bare")))
            figures.apart.append(apart)
            figures.release.append(released)
            for name, seconds in times.items():
                figures.peers[name].append(seconds)
    for size in map(int, asked.growth.split(",")):
        folder = make_release(scratch / f"{size}", BUILDERS, size, SHA256, certificate)
        (folder / NAME).write_bytes(IMAGE)
        figures.growth.append((size, *_served("judge", folder)))
        print(f"{size:,} from disk: {figures.growth[-1][2]:.2f} s", file=sys.stderr)
        shutil.rmtree(folder)
    return figures


def _served(what: str, folder: Path) -> tuple[Cost, float, float]:
    words = (sys.executable, str(Path(__file__).resolve()), "--serve", what)
    began = time.perf_counter()
    subprocess.run((*words, "--folder", str(folder)), check=True, capture_output=True, timeout=900)
    wall = time.perf_counter() - began
    noted = json.loads((folder / f"{what}.json").read_text("ascii"))
    return Cost(wall, noted["cpu"], noted["peak"]), noted["seconds"], noted["judged"]


def _wall(folder: Path, what: str) -> float:
    return float(json.loads((folder / f"{what}.json").read_text("ascii"))["wall"])


def _scaled(peer: Sampled, count: int) -> float:
    return peer.run() / peer.sample * count


# --- what runs in a process of its own ---------------------------------------------------------


def _serve_judge(folder: Path) -> int:
    gc.disable()  # as in the child that reads attestations for `check` and the ceremony
    # No medium may hold so many; how the cost grows beyond the caps is asked all the same.
    limits.MOST_FILES = limits.MOST_ENTRIES = 1_000_000
    limits.MOST_SMALL_TOTAL = limits.MOST_NAMES = 1 << 30
    first, began = time.perf_counter(), time.process_time()
    policy = load((folder / "policy.toml").read_bytes())
    media, _ = FolderMedia(folder / "media", folder).read((NAME,), 1 << 30, lambda _: None)
    files = tuple(from_blob(blob) for blob in media.files)
    read = time.process_time()
    verdict = judge(policy, NAME, _facts(sha256_of(folder / NAME)), files, datetime.now(UTC))
    wall, ended = time.perf_counter() - first, time.process_time()
    if media.problems or verdict.verdict != "ACCEPT":
        print(media.problems[:3], verdict.findings[:5], verdict.dispositions[:3])
        return 1
    _note(folder, "judge", ended - began, ended - read, wall)
    return 0


def _serve_bare(folder: Path, *, fetch: bool = False) -> int:
    pems, bare = pickle.loads((folder / "bare.bin").read_bytes())  # noqa: S301 - our own
    keys = {number: load_pem_public_key(pem) for number, pem in pems.items()}
    first, began = time.perf_counter(), time.process_time()
    for path in sorted((folder / "media").iterdir()) if fetch else ():
        path.read_bytes()
    for check in bare:
        _verify(keys[check[0]], check)
    wall, seconds = time.perf_counter() - first, time.process_time() - began
    _note(folder, "fetched" if fetch else "bare", seconds, wall=wall)
    return 0


def _verify(key: PublicKeyTypes, check: Bare) -> None:
    _, signature, message = check
    match key:
        case ed25519.Ed25519PublicKey():
            key.verify(signature, message)
        case ec.EllipticCurvePublicKey():
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPublicKey():
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        case _:
            raise TypeError(type(key).__name__)


def _serve_check(folder: Path) -> int:
    from tui.commands.dispatch import dispatch  # noqa: PLC0415 - only this process needs it

    began = time.perf_counter()
    words = ("--policy", str(folder / "policy.toml"), "--attestations", str(folder / "media"))
    status = dispatch(["check", str(folder / NAME), *words])
    _note(folder, "check", time.perf_counter() - began)
    return status


def _note(folder: Path, what: str, seconds: float, judged: float = 0.0, wall: float = 0.0) -> None:
    status = Path("/proc/self/status").read_text("ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024
    peak += resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    noted = {"seconds": seconds, "judged": judged, "wall": wall, "peak": peak}
    noted["cpu"] = time.process_time()
    (folder / f"{what}.json").write_text(json.dumps(noted), "ascii")


SERVED: dict[str, Callable[[Path], int]] = {
    "judge": _serve_judge,
    "bare": _serve_bare,
    "fetched": partial(_serve_bare, fetch=True),
    "check": _serve_check,
}


def _facts(sha256: str) -> ImageFacts:
    digest = Digest.from_hex(DigestKind.FILE_SHA256, sha256)
    return ImageFacts(1, digest, None, "x86_64", (), (), Meaning((), "", "", "", (), ""), ())


if __name__ == "__main__":
    raise SystemExit(main())
