"""A folder with an image, keys and certificates, and the installed commands run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pe.images import MOMENT, Signer

SECONDS = 120
TIME = MOMENT.strftime("%Y-%m-%dT%H:%M:%SZ")
FROZEN = MOMENT.strftime("%Y-%m-%d %H:%M:%S")

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Desk:
    """One folder: `image` and the key and certificate of alice and of bob, as PEM."""

    folder: Path
    alice: Signer
    bob: Signer

    @property
    def image(self) -> Path:
        return self.folder / "image.efi"

    @property
    def signed(self) -> Path:
        return self.folder / "signed.efi"

    def path(self, name: str) -> Path:
        return self.folder / name

    def run(self, *words: str | Path, answers: bytes = b"") -> Done:
        """Run one command of ours, a pipe with `answers` as descriptor 0."""
        return subprocess.run(
            [sys.executable, "-I", "-m", "tui", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            cwd=self.folder,
            input=answers.decode(),
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            start_new_session=True,  # no terminal to ask on
        )

    def sbsign(self, *words: str | Path, who: str = "alice", answers: bytes = b"") -> Done:
        """Sign the image with a PEM key at the frozen time."""
        options = ("--key", f"{who}.key", "--cert", f"{who}.pem", "--time", TIME)
        return self.run("sbsign", *options, *words, answers=answers)

    def theirs(self, *words: str | Path, who: str = "alice") -> Path:
        """Sign with the real sbsign under a frozen clock; return what it wrote."""
        if shutil.which("sbsign") is None or shutil.which("faketime") is None:
            pytest.skip("sbsigntool and faketime are not installed")
        output = self.folder / "theirs"
        output.unlink(missing_ok=True)
        done = subprocess.run(
            ["faketime", "-f", FROZEN, "sbsign", "--key", f"{who}.key", "--cert", f"{who}.pem",
             "--output", output, *words],
            capture_output=True, check=False, cwd=self.folder, env={**os.environ, "TZ": "UTC"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return output

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


def is_refusal(done: Done, *rules: str) -> bool:
    """Say whether a run ended with status 1, naming every rule, and is no bug."""
    said = done.stdout + done.stderr
    calm = "Traceback" not in said and "BUG" not in said
    return calm and done.returncode == 1 and all(rule in said for rule in rules)
