"""Asking the real git, which then neither runs nor fetches what a repository names.

Decides the words and the environment of every question: no hooks, monitors or filter drivers,
no replaced objects, no cached commits, no transport, none of the caller's GIT_ variables.
Refuses to know what is asked and why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ceremony.errors import Trouble, refuse
from ceremony.show import escaped

RULE = "ATT-SOURCE"
SECONDS = 300  # a listing of a large tree on a slow disk
KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME")  # for safe.directory; GIT_DIR and the like are not

# What a repository or its user may have set to run programs, to look less closely, or to look
# elsewhere. A configuration of the command line goes before every file.
_PLAIN = (
    *("--no-optional-locks", "--no-replace-objects", "-c", "core.fsmonitor=false"),
    *("-c", "core.untrackedCache=false", "-c", "core.hooksPath=/dev/null"),
    *("-c", "core.quotePath=true", "-c", "core.commitGraph=false"),
    *("-c", "core.excludesFile=/dev/null", "-c", "core.attributesFile=/dev/null"),
    *("-c", "core.autocrlf=false", "-c", "core.safecrlf=false"),
)
_SILENT = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",  # a partial clone fetches nothing, by no helper
    "GIT_NO_LAZY_FETCH": "1",
}


def ask(
    folder: Path,
    *words: str,
    said: bytes = b"",
    drivers: tuple[str, ...] = (),
    well: tuple[int, ...] = (0,),
) -> bytes:
    """Return what git puts out about `folder`; ATT-SOURCE with git's reason if it fails.

    `drivers` are the names of filter drivers, which shall do nothing; `well` are the statuses
    with which git ends when it did not fail.
    """
    program = shutil.which("git")
    if program is None:
        raise Trouble(RULE, "git is not installed, which alone reads its repositories")
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - the program that was found and literal words
            [program, "-C", str(folder), *_PLAIN, *_without(drivers), *words],
            input=said,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env=kept | _SILENT,
        )
    except subprocess.TimeoutExpired:
        raise Trouble(RULE, f"git did not answer in {SECONDS} s") from None
    if done.returncode not in well:
        errors = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = escaped(errors[0] if errors else f"status {done.returncode}")
        if "dubious ownership" in reason:  # git-config(1): safe.directory
            reason += "; build as its owner, or run: git config --global --add safe.directory DIR"
        raise refuse(RULE, f"git in {escaped(str(folder))}: {reason}")
    return done.stdout


def words_of(raw: bytes) -> tuple[bytes, ...]:
    """Return the entries of an answer under -z."""
    return tuple(raw.split(b"\0")[:-1])


def _without(drivers: tuple[str, ...]) -> Iterator[str]:
    for name in drivers:
        for setting in ("clean=", "process=", "required=false"):
            yield "-c"
            yield f"filter.{name}.{setting}"
