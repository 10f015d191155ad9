"""A Nix store without /nix, its keys and its `file://` caches, made by the real Nix."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from ceremony.attest.nar_media import NarFacts, archives_among
from ceremony.types import MediaFile

CONFIGURATION = """\
experimental-features = nix-command
sandbox = true
build-users-group =
substitute = false
"""
EXPRESSION = """\
derivation {
  name = "uki"; system = builtins.currentSystem; builder = "${./tools}/busybox";
  args = [ "sh" "-c" "${./tools}/busybox mkdir $out; ${./tools}/busybox cat ${./image} > $out/FILE" ];
}
"""  # noqa: E501 - one argument of the builder
MOST_NAR = 1 << 26


def needs_nix() -> None:
    if shutil.which("nix") is None:
        pytest.skip("nix (Debian: nix-bin) is not installed")


@dataclass(frozen=True)
class NixStore:
    """A chroot store in a folder; paths are named /nix/store/... all the same."""

    folder: Path

    def run(self, *words: str | Path, stdin: str = "") -> str:
        environment = {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "NIX_CONFIG": CONFIGURATION,
        }
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            check=True,
            text=True,
            cwd=self.folder,
            env=environment,
            timeout=120,
        )
        return done.stdout

    @property
    def _store(self) -> tuple[str, str]:
        return "--store", str(self.folder / "store")

    def key(self, name: str) -> str:
        """Make a key and return its public text."""
        secret = self.run("nix", "key", "generate-secret", "--key-name", name)
        (self.folder / f"{name}.sec").write_text(secret, encoding="ascii")
        return self.run("nix", "key", "convert-secret-to-public", stdin=secret)

    def add_tree(self, name: str, files: dict[str, bytes], links: dict[str, str]) -> str:
        tree = self.folder / name
        for path, data in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(data)
        for path, target in links.items():
            (tree / path).symlink_to(target)
        return self.run("nix", "store", "add-path", *self._store, tree).strip()

    def add_file(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return self.run("nix", "store", "add-file", *self._store, self.folder / name).strip()

    def build(self, file: str, data: bytes) -> str:
        """Build in Nix's sandbox, offline; the path is named by its inputs."""
        busybox = shutil.which("busybox")
        if busybox is None:
            pytest.skip("busybox (static) is not installed")
        (self.folder / "tools").mkdir(exist_ok=True)
        shutil.copy(busybox, self.folder / "tools" / "busybox")
        (self.folder / "image").write_bytes(data)
        expression = self.folder / "uki.nix"
        expression.write_text(EXPRESSION.replace("FILE", file), encoding="ascii")
        return self.run("nix-build", *self._store, expression, "--no-out-link").strip()

    def sign(self, path: str, *keys: str) -> None:
        for key in keys:
            secret = self.folder / f"{key}.sec"
            self.run("nix", "store", "sign", *self._store, "-k", secret, path)

    def copy(self, path: str, compression: str = "xz") -> tuple[MediaFile, ...]:
        """Return what `nix copy` puts on a medium for one path."""
        cache = self.folder / f"cache-{compression}-{path.rpartition('/')[2]}"
        self.run(
            "nix", "copy", *self._store, "--to", f"file://{cache}?compression={compression}", path
        )
        files = (file for file in sorted(cache.rglob("*")) if file.is_file())
        return tuple(
            MediaFile(f"cache/{file.relative_to(cache)}", file.read_bytes()) for file in files
        )


def narinfo_of(files: tuple[MediaFile, ...]) -> MediaFile:
    (found,) = (file for file in files if file.path.endswith(".narinfo"))
    return found


def archives_of(files: tuple[MediaFile, ...]) -> tuple[NarFacts, ...]:
    """Return what the ingest would find out about the archives among these files."""
    return archives_among(files, MOST_NAR)
