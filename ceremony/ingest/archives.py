"""One archive on a medium: hashed as it lies there, and walked as it unpacks, in one pass.

Decides nothing but what the archive holds, a fault being a fact like any other. Unpacking is
a confined child's (unpacking.py). Refuses to know caps on their number and who signed them.
"""

from __future__ import annotations

import hashlib

from ceremony.attest.nar_media import NarFacts, NarFileReader
from ceremony.errors import Refused
from ceremony.ingest.steady import SteadyFile
from ceremony.ingest.unpacking import Purse
from ceremony.ports import Progress, Report
from ceremony.show import escaped
from ceremony.types import Finding


def read_archive(
    path: str, file: SteadyFile, most: int, purse: Purse, report: Report
) -> tuple[NarFacts, str]:
    """Return the facts, and the SHA-256 (hex) of the open file; MED-CHANGED, MED-GONE.

    `most` bytes at most, packed and unpacked.
    """
    hasher, reader = hashlib.sha256(), NarFileReader(most, purse.unpacker)
    fault: Finding | None = None
    try:
        done = 0
        for chunk in file.chunks():
            hasher.update(chunk)
            fault = fault or _fed(reader, chunk)
            done += len(chunk)
            report(Progress(f"reading {escaped(path, 40)}", done, file.size, "bytes"))
        nar = None
        if fault is None:
            try:
                nar = reader.close()
            except Refused as error:
                fault = error.findings[0]
    finally:
        reader.release()
    return NarFacts(path, nar, fault), hasher.hexdigest()


def _fed(reader: NarFileReader, chunk: bytes) -> Finding | None:
    try:
        reader.update(chunk)
    except Refused as error:
        reader.release()
        return error.findings[0]
    return None
