"""What git says of the tree that was built: its commit, and whether it is that commit.

Decides from the real git alone. A tree is clean when nothing is changed, staged or unknown
to git, submodules included, and no file is hidden from `git status` by a flag of the index.
Refuses to know what was built from it, and runs nothing that the repository configures.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ceremony.errors import Refused, Trouble, refuse
from ceremony.show import escaped

RULE = "ATT-SOURCE"
SECONDS = 300  # a status of a large tree on a slow disk
MOST_NAMED = 3

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REPOSITORY = re.compile(
    r"(?:[a-z+]+://)?(?:[^@/]+@)?(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
    r"(?::[0-9]+/|[:/])/*(?P<path>[\w.~-]+(?:/[\w.~-]+)+)"
)
# What a repository or its user may have set to run programs or to look less closely.
_PLAIN = (
    *("--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"),
    *("-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=true"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A work tree: its commit, the commit's time, what differs from it, where it came from.

    `changed` are paths, escaped; `repository` is "host/path" of the remote origin, or "".
    """

    root: Path
    commit: str
    time: int
    changed: tuple[str, ...]
    repository: str

    @property
    def dirty(self) -> bool:
        """True when the tree is not what the commit holds."""
        return bool(self.changed)

    def require_clean(self) -> None:
        """ATT-DIRTY: nothing in the tree is changed or unknown to git."""
        if self.changed:
            named = ", ".join(self.changed[:MOST_NAMED])
            more = len(self.changed) - MOST_NAMED
            rest = f" and {more} more" if more > 0 else ""
            raise refuse("ATT-DIRTY", f"the tree is not the commit: {named}{rest}")


def read_source(folder: Path) -> Source:
    """Return what git says of the work tree around `folder`; ATT-SOURCE when there is none."""
    root = Path(os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    head = _git(folder, "log", "-1", "--no-show-signature", "--format=%H %ct", "HEAD")
    commit, _, time = head.decode("ascii", "replace").strip().partition(" ")
    if not _COMMIT.fullmatch(commit) or not time.isdigit():
        raise refuse(RULE, f"git names no commit in {escaped(str(folder))}")
    return Source(root, commit, int(time), (*_differing(root), *_hidden(root)), _origin(root))


def repository_name(text: str) -> str:
    """Return "host/path" of a repository's address; "" when it is none."""
    found = _REPOSITORY.fullmatch(text.rstrip("/").removesuffix(".git"))
    return f"{found['host'].lower()}/{found['path']}" if found else ""


def _differing(root: Path) -> tuple[str, ...]:
    words = ("--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=none")
    entries = _git(root, "status", *words, "--no-renames").split(b"\0")[:-1]
    return tuple(_path(entry[3:]) for entry in entries)


def _hidden(root: Path) -> tuple[str, ...]:
    """Return the files whose changes `git status` does not look for.

    git-ls-files(1), -v: lower-case letters are "assume unchanged", S is "skip-worktree".
    """
    entries = _git(root, "ls-files", "-v", "-z").split(b"\0")[:-1]
    return tuple(
        f"{_path(entry[2:])} (hidden from git status)"
        for entry in entries
        if entry[:1].islower() or entry[:1] == b"S"
    )


def _path(raw: bytes) -> str:
    return escaped(os.fsdecode(raw))


def _origin(root: Path) -> str:
    try:
        address = _git(root, "config", "--get", "remote.origin.url")
    except Refused:  # a repository without a remote is a repository
        return ""
    return repository_name(address.decode("utf-8", "replace").strip())


def _git(folder: Path, *words: str) -> bytes:
    program = shutil.which("git")
    if program is None:
        raise Trouble(RULE, "git is not installed, which alone reads its repositories")
    kept = ("PATH", "HOME", "XDG_CONFIG_HOME")  # for safe.directory; GIT_DIR and the like are not
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - the program that was found and literal words
            [program, "-C", str(folder), *_PLAIN, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={**environment, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
        )
    except subprocess.TimeoutExpired:
        raise Trouble(RULE, f"git did not answer in {SECONDS} s") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = escaped(said[0] if said else f"status {done.returncode}")
        raise refuse(RULE, f"git in {escaped(str(folder))}: {reason}")
    return done.stdout
