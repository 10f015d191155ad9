"""Work at once, on one thread a processor: hashing lets go of the interpreter meanwhile."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ceremony.content import Stored
from ceremony.pe.digest import file_sha256
from ceremony.turns import Work, in_turn

WORTH_IT = 2**20  # bytes below which a thread costs more than it saves


def at_once(works: Sequence[Work]) -> None:
    """Do every work, as many at a time as there are processors; the first error passes."""
    processors = len(os.sched_getaffinity(0))
    if processors == 1:
        return in_turn(works)
    with ThreadPoolExecutor(processors) as pool:
        for done in [pool.submit(work) for work in works]:
            done.result()
    return None


def digests(files: Mapping[str, Stored]) -> dict[str, str]:
    """Return the SHA-256 of every file in hex, by name; large ones are hashed at once."""
    found = dict.fromkeys(files, "")

    def hashed(name: str) -> None:
        found[name] = file_sha256(files[name]).hex

    large = [name for name, data in files.items() if len(data) > WORTH_IT]
    if len(large) > 1:
        at_once([partial(hashed, name) for name in large])
    for name in files.keys() - (large if len(large) > 1 else []):
        hashed(name)
    return found
