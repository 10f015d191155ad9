"""Keys that sign through the real signify of OpenBSD."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TOOL = "signify-openbsd"


@dataclass(frozen=True)
class SignifyKey:
    """An unencrypted key pair in files, used through signify only."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> SignifyKey:
        if shutil.which(TOOL) is None:
            pytest.skip(f"{TOOL} is not installed")
        # signify wants the pair to share a name: x.pub and x.sec.
        key = cls(path)
        key.run("-G", "-n", "-c", path.name, "-p", f"{path}.pub", "-s", f"{path}.sec")
        return key

    @staticmethod
    def run(*words: str | Path) -> None:
        subprocess.run([TOOL, *words], check=True, capture_output=True, timeout=60)

    @property
    def text(self) -> str:
        return Path(f"{self.path}.pub").read_text(encoding="ascii")

    def sign(self, message: bytes, *options: str) -> bytes:
        content, out = self.path.with_suffix(".content"), self.path.with_suffix(".sig")
        content.write_bytes(message)
        self.run("-S", *options, "-s", f"{self.path}.sec", "-m", content, "-x", out)
        return out.read_bytes()
