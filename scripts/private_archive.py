"""A Debian suite that this machine does not follow, asked through an apt of its own.

    python3 scripts/private_archive.py source|binary SUITE PACKAGE FOLDER

Puts the unpacked source, or the package and all it depends on unpacked, into FOLDER, and
prints its version. Lists, cache and status are private; the mirror is the one that this
machine's own apt follows, and the archive's keyring must vouch for the suite. No root is
needed. Exit status 1, with the reason, where one of these is missing. Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 300  # seconds for one call of apt
KEYRINGS = tuple(
    Path("/usr/share/keyrings") / f"debian-archive-keyring.{ending}" for ending in ("gpg", "pgp")
)
NEEDED = {"source": ("apt-get", "dpkg-source"), "binary": ("apt-get", "apt-cache", "dpkg-deb")}
FIELDS = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
CONFIGURATION = """\
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{folder}/sources";
Dir::State "{folder}/state";
Dir::State::Status "/dev/null";
Dir::Cache "{folder}/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
"""


class Missing(Exception):
    """What keeps this machine from asking the archive, in a sentence."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One suite of one mirror, its lists fetched; `folder` is scratch."""

    folder: Path
    suite: str

    def apt(self, *words: str, within: Path | None = None) -> str:
        """Run one command of apt's family; raises Missing when it fails."""
        environment = os.environ | {"APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"}
        try:
            done = subprocess.run(
                [words[0], "-qq", *words[1:]],
                cwd=within or self.folder,
                env=environment,
                capture_output=True,
                check=False,
                text=True,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired as late:
            raise Missing(f"{' '.join(words)}: no answer in {TIMEOUT} s") from late
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
            raise Missing(f"{' '.join(words)} for {self.suite}: {reason}")
        return done.stdout

    def source(self, package: str, folder: Path) -> str:
        """Unpack a source package, patched, as `folder`; return its version."""
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            self.apt("apt-get", "source", package, within=Path(scratch))
            (description,) = Path(scratch).glob("*.dsc")
            (unpacked,) = (path for path in Path(scratch).iterdir() if path.is_dir())
            text = description.read_text("utf-8", errors="replace")
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(unpacked, folder)
        return _version(text)

    def binary(self, package: str, folder: Path) -> str:
        """Unpack a package and all it depends on into `folder`; return its version."""
        kinds = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
        options = [f"--no-{kind}" for kind in kinds]
        told = self.apt("apt-cache", "depends", "--recurse", *options, package)
        names = [line for line in told.splitlines() if line and line[0].isalnum()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            self.apt("apt-get", "download", *names, within=Path(scratch))
            for path in sorted(Path(scratch).glob("*.deb")):
                subprocess.run(["dpkg-deb", "-x", path, folder], check=True, timeout=TIMEOUT)
        return _version(self.apt("apt-cache", "show", "--no-all-versions", package))


def _version(text: str) -> str:
    """Return the version in a package's or a source's description."""
    return next(line.split()[1] for line in text.splitlines() if line.startswith("Version:"))


def mirrors() -> dict[str, list[str]]:
    """Return this machine's mirrors and the releases it follows there, security ones left out."""
    command = ["apt-get", "indextargets", "--format", FIELDS, "Created-By: Packages"]
    done = subprocess.run(
        command, capture_output=True, check=False, text=True, timeout=TIMEOUT
    ).stdout
    found: dict[str, list[str]] = {}
    for line in done.splitlines():
        mirror, release, component = line.split()
        if component == "main" and "-" not in release and release not in found.get(mirror, ()):
            found.setdefault(mirror, []).append(release)
    return found


@contextmanager
def archive(kind: str, suite: str) -> Iterator[Archive]:
    """Fetch the lists of a suite, from the first mirror that has it; raises Missing."""
    lacking = [tool for tool in NEEDED[kind] if shutil.which(tool) is None]
    keyring = next((path for path in KEYRINGS if path.exists()), None)
    if lacking:
        raise Missing(f"{', '.join(lacking)} not installed")
    if keyring is None:
        raise Missing("debian-archive-keyring is not installed")
    reasons = ["this machine's apt follows no archive"]
    for mirror in mirrors():
        with tempfile.TemporaryDirectory(prefix="private-archive-") as scratch:
            try:
                fetched = _fetch(Path(scratch), kind, suite, mirror, keyring)
            except Missing as missing:
                reasons.append(str(missing))
                continue
            yield fetched
            return
    raise Missing(reasons[-1])


def _fetch(folder: Path, kind: str, suite: str, mirror: str, keyring: Path) -> Archive:
    for name in ("sources", "state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "apt.conf").write_text(CONFIGURATION.format(folder=folder), "utf-8")
    stanza = {
        "Types": {"source": "deb-src", "binary": "deb"}[kind],
        "URIs": mirror,
        "Suites": suite,
        "Components": "main",
        "Signed-By": str(keyring),
    }
    sources = "".join(f"{name}: {value}\n" for name, value in stanza.items())
    (folder / "sources" / "private.sources").write_text(sources, "utf-8")
    fetched = Archive(folder, suite)
    fetched.apt("apt-get", "update", "--error-on=any")
    return fetched


def main(arguments: list[str]) -> int:
    """Unpack what the command line names; return the exit status."""
    try:
        kind, suite, package, folder = arguments
        unpack = {"source": Archive.source, "binary": Archive.binary}[kind]
    except (ValueError, KeyError):
        print("usage: private_archive.py source|binary SUITE PACKAGE FOLDER", file=sys.stderr)
        return 2
    try:
        with archive(kind, suite) as fetched:
            print(unpack(fetched, package, Path(folder).absolute()))
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
