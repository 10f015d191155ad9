"""Fetch sbsigntools' own test scripts, which are GPL: they are run from a cache, never copied.

    python3 scripts/sbsigntools_tests.py

Prints the folder that holds the scripts and the version that they are of. The newest ones are
in Debian's sid; where that cannot be had, those of the releases that this machine follows.
Exit status 1, with the reason, where none can be fetched. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from pathlib import Path

from private_archive import Missing, archive, mirrors

PACKAGE, NEWEST = "sbsigntool", "sid"
VERSION = "version"


def cache() -> Path:
    """Return the folder for what is fetched, by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return home / "uki-ceremony" / "sbsigntools-tests"


def fetched(folder: Path) -> tuple[Path, str]:
    """Return the folder of the scripts and their version; raises Missing.

    What was fetched once is kept in `folder` until someone removes it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test workers ask at the same time
        if not folder.exists():
            _fetch(folder)
    return folder / "tests", (folder / VERSION).read_text("ascii").strip()


def _fetch(folder: Path) -> None:
    releases = [release for followed in mirrors().values() for release in followed]
    reasons = []
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for suite in (NEWEST, *releases):
            source, kept = Path(scratch) / suite, Path(scratch) / f"{suite}-kept"
            try:
                with archive("source", suite) as followed:
                    version = followed.source(PACKAGE, source)
            except Missing as missing:
                reasons.append(str(missing))
                continue
            kept.mkdir()
            shutil.move(source / "tests", kept / "tests")
            (kept / VERSION).write_text(f"{version}\n", "ascii")
            kept.rename(folder)
            return
    raise Missing(reasons[0])


def main() -> int:
    """Fetch the scripts unless they are there; return the exit status."""
    try:
        scripts, version = fetched(cache())
    except (Missing, OSError) as missing:
        print(f"sbsigntools' test scripts cannot be fetched: {missing}", file=sys.stderr)
        return 1
    print(scripts, version, sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
