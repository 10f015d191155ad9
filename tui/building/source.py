"""What git says of the tree that was built: its commit, and whether it is that commit.

Decides which repository is asked, that the folder given lies in that work tree (ATT-SOURCE),
and when the tree is its commit (ATT-DIRTY). Refuses to know what was built from it, and runs
nothing that the repository configures.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ceremony.errors import refuse
from ceremony.show import escaped
from tui.building.commit import read_commit
from tui.building.git import ask
from tui.building.worktree import differences

RULE = "ATT-SOURCE"
MOST_NAMED = 3

_REPOSITORY = re.compile(
    r"(?:[a-z+]+://)?(?:[^@/]+@)?(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
    r"(?::[0-9]+/|[:/])/*(?P<path>[\w.~-]+(?:/[\w.~-]+)+)"
)


@dataclass(frozen=True, slots=True)
class Source:
    """A work tree: its commit, the commit's time, what differs from it, where it came from.

    `changed` are paths, escaped, each with how it differs; `ignored` are paths that the
    commit's own .gitignore files name; `repository` is "host/path" of the origin, or "".
    """

    root: Path
    commit: str
    time: int
    changed: tuple[str, ...]
    ignored: tuple[str, ...]
    repository: str

    @property
    def dirty(self) -> bool:
        """True when the tree is not what the commit holds."""
        return bool(self.changed)

    def require_clean(self) -> None:
        """ATT-DIRTY: nothing in the tree is changed or unknown to the commit."""
        if self.changed:
            raise refuse("ATT-DIRTY", f"the tree is not the commit: {named(self.changed)}")


def named(paths: tuple[str, ...]) -> str:
    """Return the first paths, and how many more there are."""
    more = len(paths) - MOST_NAMED
    return ", ".join(paths[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def read_source(folder: Path) -> Source:
    """Return what git says of the work tree around `folder`; ATT-SOURCE when there is none."""
    root = Path(os.fsdecode(ask(folder, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    if not Path(os.path.realpath(folder)).is_relative_to(root):
        # core.worktree, or a .git file that says so: git would speak of another folder.
        text = f"git in {escaped(str(folder))} speaks of the work tree {escaped(str(root))}"
        raise refuse(RULE, text)
    commit = read_commit(root)
    found = differences(root, commit)
    origin = _origin(root)
    return Source(root, commit.name, commit.time, found.changed, found.ignored, origin)


def repository_name(text: str) -> str:
    """Return "host/path" of a repository's address; "" when it is none."""
    found = _REPOSITORY.fullmatch(text.rstrip("/").removesuffix(".git"))
    return f"{found['host'].lower()}/{found['path']}" if found else ""


def _origin(root: Path) -> str:
    # 1: a repository without a remote is a repository
    address = ask(root, "config", "--get", "remote.origin.url", well=(0, 1))
    return repository_name(address.decode("utf-8", "replace").strip())
