"""The installed signing tools, run on images that are in memory; one missing skips the test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pe.images import Signer, pem


class Tools:
    """sbsign and osslsigncode in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _run(self, tool: str, *words: str | Path) -> bytes:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
        out = self.folder / "out.efi"
        out.unlink(missing_ok=True)
        done = subprocess.run([tool, *words], capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return out.read_bytes()

    def _given(self, image: bytes, by: Signer) -> tuple[Path, Path]:
        (self.folder / "in.efi").write_bytes(image)
        return by.write(self.folder, "by")

    def sbsign(self, image: bytes, by: Signer, *added: bytes) -> bytes:
        key, certificate = self._given(image, by)
        bundle = self.folder / "added.pem"
        bundle.write_text("".join(pem(der) for der in added))
        return self._run(
            *("sbsign", "--key", key, "--cert", certificate),
            *(("--addcert", bundle) if added else ()),
            *("--output", self.folder / "out.efi", self.folder / "in.efi"),
        )

    def osslsigncode(self, image: bytes, by: Signer, algorithm: str) -> bytes:
        key, certificate = self._given(image, by)
        return self._run(
            *("osslsigncode", "sign", "-h", algorithm, "-certs", certificate, "-key", key),
            *("-in", self.folder / "in.efi", "-out", self.folder / "out.efi"),
        )
