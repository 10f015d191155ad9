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
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from attestations import Bare, attestations
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from judged_release import NAME, make_release, sha256_of, write_policy
from judging_peers import Sampled, find_peers
from material import make_identity, make_image
from measuring import Cost
from report import machine
from signers import make_signers

from ceremony.blobs import from_blob
from ceremony.ingest.media import FolderMedia
from ceremony.policy import load
from ceremony.quorum import judge
from ceremony.types import Digest, DigestKind, ImageFacts, Meaning, MediaFile

MEMORY = Path("/dev/shm")  # noqa: S108 - the figures are about judging, not about a disk
BUILDERS, FEW, MEGABYTES = 48, 25, 172
GROWTH = (1_000, 10_000, 100_000)
SECONDS, MEBIBYTES, RELEASE_SECONDS, RATIO = 4.0, 300, 2.0, 2.0
SHA256 = hashlib.sha256(b"the image").hexdigest()
INTRODUCTION = """\
{count:,} attestations of {builders} builders, equal parts SSHSIG, minisign, DSSE and OpenPGP;
Ed25519, ECDSA P-256 and RSA-3072 (minisign: Ed25519 alone). Figures are medians; a wall time
includes the start of Python. Ratios are of processor time where nothing else is said, ours and
the bare checks' in turn, as other work may share the machine. `check` reads in the confined child
and verifies every signature once more in its own process. Peers that start a process for each
signature verify a sample.
"""
BUSY = """\
The machine was busy with other work throughout: the wall times are not those of the program, and
the targets that they miss want another run on a quiet one.
"""


@dataclass(frozen=True)
class Figures:
    """All that was measured, by round; `inside`, `alone` and `bare` are processor seconds.

    `inside` reads from disk and judges, `alone` judges; `apart` is a whole `check` of the same
    attestations, read in the confined child and verified again here. `walls` are the wall seconds
    of `inside` and of `bare`.
    """

    judged: list[Cost]
    inside: list[float]
    alone: list[float]
    bare: list[float]
    apart: list[Cost]
    release: list[Cost]
    growth: list[tuple[int, float]]
    walls: list[tuple[float, float]]
    peers: dict[str, list[float]]


def main() -> int:
    """Measure what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", default=",".join(map(str, GROWTH)))
    parser.add_argument("--in-toto", type=Path, help="a Python that has in-toto")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", choices=("judge", "bare", "check"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        return SERVED[asked.serve](asked.folder)
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="bench-") as scratch:
        text = report(asked.count, run(Path(scratch), asked))
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
    figures = Figures([], [], [], [], [], [], [], [], {peer.name: [] for peer in peers})
    for number in range(asked.rounds + 1):
        print(f"round {number} of {asked.rounds} (0 warms up)", file=sys.stderr)
        cost, inside, judged = _served("judge", many)
        _, bare, _ = _served("bare", many)
        released, _, _ = _served("check", few)
        apart, _, _ = _served("check", many)
        times = {peer.name: _scaled(peer, asked.count) for peer in peers}
        if number:
            figures.judged.append(cost)
            figures.inside.append(inside)
            figures.alone.append(judged)
            figures.bare.append(bare)
            figures.walls.append((_wall(many, "judge"), _wall(many, "bare")))
            figures.apart.append(apart)
            figures.release.append(released)
            for name, seconds in times.items():
                figures.peers[name].append(seconds)
    figures.growth.extend(grown(scratch, tuple(map(int, asked.growth.split(","))), certificate))
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


def _serve_bare(folder: Path) -> int:
    pems, bare = pickle.loads((folder / "bare.bin").read_bytes())  # noqa: S301 - our own
    keys = {number: load_pem_public_key(pem) for number, pem in pems.items()}
    first, began = time.perf_counter(), time.process_time()
    for check in bare:
        _verify(keys[check[0]], check)
    wall, seconds = time.perf_counter() - first, time.process_time() - began
    _note(folder, "bare", seconds, wall=wall)
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
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    peak = max(peak, children)
    noted = {"seconds": seconds, "judged": judged, "wall": wall, "peak": peak}
    noted["cpu"] = time.process_time()
    (folder / f"{what}.json").write_text(json.dumps(noted), "ascii")


SERVED = {"judge": _serve_judge, "bare": _serve_bare, "check": _serve_check}


def _facts(sha256: str) -> ImageFacts:
    digest = Digest.from_hex(DigestKind.FILE_SHA256, sha256)
    return ImageFacts(1, digest, None, "x86_64", (), (), Meaning((), "", "", "", (), ""), ())


def grown(scratch: Path, sizes: tuple[int, ...], certificate: str) -> list[tuple[int, float]]:
    """Return processor seconds of the judge alone, in memory, by the number of attestations."""
    gc.disable()
    signers = make_signers(BUILDERS)
    write_policy(scratch, signers, certificate)
    policy = load((scratch / "policy.toml").read_bytes())
    files: list[MediaFile] = []
    found: list[tuple[int, float]] = []
    made = attestations(signers, max(sizes), SHA256, NAME)
    for size in sizes:
        have = found[-1][0] if found else 0
        for _ in range(size - have):
            written, _ = next(made)
            files += [MediaFile(name, data) for name, data in written.items()]
        began = time.process_time()
        judge(policy, NAME, _facts(SHA256), tuple(files), datetime.now(UTC))
        found.append((size, time.process_time() - began))
        print(f"{size:,} in memory: {found[-1][1]:.2f} s", file=sys.stderr)
    return found


# --- the report ---------------------------------------------------------------------------------


def report(count: int, figures: Figures) -> str:
    """Return the Markdown text; a target that is missed is said to be."""
    wall = statistics.median(cost.wall for cost in figures.judged)
    peak = statistics.median(cost.peak for cost in figures.judged)
    ratio = _ratio(figures.inside, figures.bare)
    walls = statistics.median(ours / theirs for ours, theirs in figures.walls)
    apart = statistics.median(cost.wall for cost in figures.apart)
    apart_peak = statistics.median(cost.peak for cost in figures.apart)
    alone = _ratio(figures.alone, figures.bare)
    release = statistics.median(cost.wall for cost in figures.release)
    lines = [
        f"# Judging, measured {datetime.now(UTC).date()}\n",
        f"{machine()}.\n",
        INTRODUCTION.format(count=count, builders=BUILDERS),
        *([BUSY] if os.getloadavg()[2] > (os.cpu_count() or 1) else []),
        "| | measured | target |",
        "|---|---|---|",
        f"| {count:,} from disk to verdict, wall | {wall:.2f} s | {SECONDS} s |",
        f"| the same, peak memory | {peak:.0f} MiB | {MEBIBYTES} MiB |",
        f"| `check` of the same in the confined child, wall | {apart:.2f} s | {SECONDS} s |",
        f"| the same, peak memory of parent or child | {apart_peak:.0f} MiB | {MEBIBYTES} MiB |",
        f"| judged / the bare signature checks | {alone:.2f} | |",
        f"| read from disk and judged / the bare signature checks | {ratio:.2f} | {RATIO} |",
        f"| the same, of wall time | {walls:.2f} | |",
        f"| `check`, {FEW} builders, {MEGABYTES} MB | {release:.2f} s | {RELEASE_SECONDS} s |",
        "",
        "| in memory | processor seconds | per attestation |",
        "|---|---|---|",
        *(f"| {n:,} | {s:.2f} | {s / n * 1e6:.0f} us |" for n, s in figures.growth),
        "",
        f"| peer, a sample scaled to {count:,} | seconds | its / ours |",
        "|---|---|---|",
        f"| the bare checks, whole | {statistics.median(figures.bare):.2f} | {1 / ratio:.2f} |",
        *(
            f"| {name} | {statistics.median(times):.1f} | {_ratio(times, figures.inside):.1f} |"
            for name, times in figures.peers.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    raise SystemExit(main())
