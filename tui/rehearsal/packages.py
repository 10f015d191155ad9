"""Take single files out of the distribution's packages: `apt-get download`, no root needed.

The system is not changed: packages go into a scratch folder. Where the machine has no package
lists (or stale ones), private lists are fetched into that folder too. It refuses to know what
the files are for.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 300  # seconds for one call of apt
QUICK = ("-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file: the packages that may hold it, best first, and a pattern of its path there."""

    packages: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A file's content, its path in the package, and the package with its version."""

    data: bytes
    path: str
    package: str


def take(wanted: list[Wanted], scratch: Path) -> list[Taken | None]:
    """Return each wanted file or None, through the system's package lists or private ones."""
    private = ["-o", f"Dir::State={scratch}/state", "-o", f"Dir::Cache={scratch}/cache"]
    private += ["-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root"]
    found = [_take(one, [], scratch) for one in wanted]
    if all(found):
        return found
    (scratch / "state" / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (scratch / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    if _output(["apt-get", *QUICK, *private, "update"], scratch) is None:
        return found
    return [got or _take(one, private, scratch) for one, got in zip(wanted, found, strict=True)]


def _take(wanted: Wanted, options: list[str], scratch: Path) -> Taken | None:
    """Download the first package that has the file, and read the file out of it."""
    for package in wanted.packages:
        for name in (package, *_needs(package, options, scratch)):
            taken = _from_package(name, wanted.path, options, scratch)
            if taken is not None:
                return taken
    return None


def _needs(package: str, options: list[str], scratch: Path) -> list[str]:
    """Return the kernel packages that a kernel's metapackage stands for."""
    text = _output(["apt-cache", *options, "depends", package], scratch) or b""
    return re.findall(
        r"^ +\|?Depends: (linux-image-\S+)$", text.decode(errors="replace"), re.MULTILINE
    )


def _from_package(name: str, path: str, options: list[str], scratch: Path) -> Taken | None:
    """Download one package; None when it cannot be had or lacks the file."""
    folder = scratch / name
    folder.mkdir(exist_ok=True)
    if _output(["apt-get", *QUICK, *options, "download", name], folder) is None:
        return None
    for deb in sorted(folder.glob("*.deb")):
        version = (_output(["dpkg-deb", "--field", deb.name, "Version"], folder) or b"").decode()
        file = _member(deb, path)
        deb.unlink()
        if file is not None:
            return Taken(file[1], file[0], f"{name} {version.strip()}")
    return None


def _member(deb: Path, pattern: str) -> tuple[str, bytes] | None:
    """Return path and content of the first regular file that matches, reading as a stream."""
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - fixed words
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    name = member.name.removeprefix(".")
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is not None and re.fullmatch(pattern, name):
                        return name, content.read()
        except tarfile.TarError:
            return None
        finally:
            process.kill()
    return None


def _output(command: list[str], folder: Path) -> bytes | None:
    """Return what a command printed; None when it is missing, fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and package names
            command,
            cwd=folder,
            env=os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
