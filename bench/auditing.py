"""Measure replay and the stand-alone auditor against hashing the bundle's files, pair by pair.

    .venv/bin/python bench/auditing.py [--megabytes 172] [--events 200] [--rounds N] [--output FILE]

A rehearsal signs an image of this size; exceptions fill its transcript up, and its witnesses sign
the head anew. The floor is `sha256sum -c SHA256SUMS`. Everything lies in memory (/dev/shm).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import rehearsing
from auditor import forging
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from material import make_image
from measuring import Cost, adopt_orphans, measure
from replay import reap
from report import machine, median

from ceremony.ingest.reading import read_folder
from tui.rehearsal.prepare import Prepared, prepare

ROOT = Path(__file__).resolve().parents[1]
MEMORY = Path("/dev/shm")  # noqa: S108 - the figures are about judging, not about a disk
BIN = Path(sys.executable).parent


NOTE = """\
Two shared cores: processor time and memory are the figures to read. The auditor reads the image in
pieces where it lies, replay in pieces of a sealed copy, whose memory is the kernel's (ADR 28).
"""


def head() -> str:
    """Return the page's beginning: when, on which machine, by what."""
    title = f"# Auditing, measured {datetime.now(UTC).date()}"
    return f"{title}\n\n{machine()}.\n\nMade by `bench/auditing.py` (`make bench-auditing`).\n"


def filled(prepared: Prepared, events: int) -> Path:
    """Fill the bundle's transcript up to so many lines, and have its head signed again."""
    files = read_folder(prepared.out)
    values = forging.values_of(files)
    last = values[-1]
    said = {"person": "ines", "expected": "nothing", "happened": "a pause", "decided": "go on"}
    one = {**last, "event": "ceremony.exception", "kind": "exception", "body": said}
    values[-1:] = [*({**one} for _ in range(events - len(values))), last]
    keys = {}
    for person in ("ines", "ed"):
        key = load_ssh_private_key(prepared.person_key(person).read_bytes(), None)
        if isinstance(key, Ed25519PrivateKey):
            keys[person] = key
    for name, data in forging.resigned(forging.relinked(files, values), keys).items():
        (prepared.out / name).write_bytes(data)
    return prepared.out


def rounds(bundle: Path, count: int) -> list[dict[str, Cost]]:
    """Run the three in turn, so many times."""
    sums = f"cd {bundle} && sha256sum --quiet -c SHA256SUMS"
    commands = {
        "sha256sum -c SHA256SUMS": ("sh", "-c", sums),
        "auditor.py": (sys.executable, "-I", str(ROOT / "transcripts/auditor.py"), str(bundle)),
        "uki-ceremony replay": (str(BIN / "uki-ceremony"), "replay", str(bundle)),
    }
    return [
        {name: measure(command, {}) for name, command in commands.items()} for _ in range(count)
    ]


def table(found: list[dict[str, Cost]], title: str) -> str:
    """Return the Markdown table: medians, and the median ratio to the floor of the same round."""
    floor = next(iter(found[0]))
    lines = [title, "", "| program | wall s | cpu s | peak MiB | wall to floor | cpu to floor |"]
    lines.append("|---|---|---|---|---|---|")
    for name in found[0]:
        cost = median(one[name] for one in found)
        wall = statistics.median(one[name].wall / one[floor].wall for one in found)
        cpu = statistics.median(one[name].cpu / one[floor].cpu for one in found)
        figures = f"{cost.wall:.2f} | {cost.cpu:.2f} | {cost.peak:.0f} | {wall:.2f} | {cpu:.2f}"
        lines.append(f"| `{name}` | {figures} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the bundle, measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=172)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        image = Path(folder) / "image" / "anchor.efi"
        image.parent.mkdir()
        make_image(image, options.megabytes)
        prepared = prepare(Path(folder) / "r", image)
        rehearsing.held(prepared)
        bundle = filled(prepared, options.events)
        reap()  # the token's process would be taken for the first command, and each for the next
        size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
        title = (
            f"A transcript of {options.events} events, an image of {options.megabytes} MB "
            f"({size / 1e6:.0f} MB of files), {options.rounds} rounds."
        )
        text = table(rounds(bundle, options.rounds), title)
    sys.stdout.write(text)
    if options.output:
        options.output.write_text(f"{head()}\n{text}\n{NOTE}", "utf-8")


if __name__ == "__main__":
    main()
