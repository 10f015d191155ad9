"""A builder's desk: keys by the real tools, a git repository, the command in a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import tui
from tui.commands.dispatch import dispatch

SECONDS = 120
HOME = Path(str(tui.__file__)).resolve().parents[1]
START = (
    "import sys; sys.path.insert(0, sys.argv[1]); {before}"
    "from tui.commands.dispatch import dispatch; sys.exit(dispatch(sys.argv[2:]))"
)


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


def tool(name: str) -> str:
    """Return a program's path, or skip the test and name what is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def command(*words: str | int | Path, before: str = "") -> list[str]:
    """Return the command line of the program under test in a process of its own."""
    start = START.format(before=before)
    return [sys.executable, "-I", "-c", start, str(HOME), *map(str, words)]


def process(
    *words: str | int | Path,
    before: str = "",
    env: Mapping[str, str] | None = None,
    limit: int = 0,
    keep: Sequence[int] = (),
) -> Done:
    """Run the program without a terminal; `limit` is `ulimit -f` in blocks, 0 for none."""
    line: Sequence[str] = command(*words, before=before)
    if limit:
        line = ["/bin/sh", "-c", f'ulimit -f {limit}; exec "$@"', "sh", *line]
    done = subprocess.run(
        line,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        start_new_session=True,
        env={"PATH": os.environ["PATH"], **(env or {})},
        pass_fds=keep,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass
class Desk:
    """A folder with an image and keys, and the command run in this process."""

    folder: Path
    capfd: pytest.CaptureFixture[str]
    made: dict[str, Path] = field(default_factory=dict)

    @property
    def image(self) -> Path:
        """The image, made on first use."""
        path = self.folder / "anchor.efi"
        if not path.exists():
            path.write_bytes(b"an unsigned image\n")
        return path

    @property
    def out(self) -> Path:
        """Where attestations are written."""
        return self.folder / "out"

    def run(self, *words: str | Path) -> Done:
        """Run the program in this process."""
        self.capfd.readouterr()
        status = dispatch([*map(str, words)])
        return Done(status, *self.capfd.readouterr())

    def attest(self, *words: str | Path, builder: str = "ann", key: Path | None = None) -> Done:
        """Attest the image with a key, by default an SSH key."""
        who = ("--builder", builder, "--key", key or self.ssh(), "--output", self.out)
        return self.run("attest", self.image, *who, *words)

    def sums(self, builder: str = "ann") -> str:
        """Return the checksum file that was written."""
        return (self.out / f"{builder}.SHA256SUMS").read_text("utf-8")

    def ssh(self, *options: str, name: str = "ssh", secret: str = "") -> Path:
        """Return an SSH key made by ssh-keygen."""
        path = self.folder / name
        if not path.exists():
            words = options or ("-t", "ed25519")
            line = [tool("ssh-keygen"), "-q", *words, "-N", secret, "-C", name, "-f", str(path)]
            subprocess.run(line, check=True)
        return path

    def minisign(self, secret: str = "") -> Path:
        """Return a minisign key made by minisign."""
        path = self.folder / f"minisign{secret}"
        lock = [] if secret else ["-W"]
        subprocess.run(
            [tool("minisign"), "-G", *lock, "-p", f"{path}.pub", "-s", path],
            input=f"{secret}\n{secret}\n".encode(),
            check=True,
            capture_output=True,
        )
        return path


def laid_out(folder: Path, capfd: pytest.CaptureFixture[str]) -> Desk:
    """Return a desk with an empty folder for what is written."""
    desk = Desk(folder, capfd)
    desk.out.mkdir()
    return desk


def git(folder: Path, *words: str, **env: str) -> str:
    """Run the real git in a folder, with no configuration but this one."""
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder.parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(
        [tool("git"), "-c", "protocol.file.allow=always", *words],
        cwd=folder,
        env=settings | env,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def repository(folder: Path) -> str:
    """Make a repository with one commit and a flake.lock; return the commit."""
    folder.mkdir()
    (folder / "flake.lock").write_text('{"nodes": {}}\n', "utf-8")
    (folder / "kernel.config").write_text("CONFIG_EFI=y\n", "utf-8")
    (folder / ".gitignore").write_text("result\n", "utf-8")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first", GIT_COMMITTER_DATE="1700000000 +0000")
    return git(folder, "rev-parse", "HEAD")
