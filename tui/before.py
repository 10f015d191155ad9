"""Which ceremony was before this one: its head, from the ledger on the medium or a checkpoint.

What is found here is a claim in the first line. Judge holds it against the ledger that people
confirm; so a ledger that cannot be read is no fault here, but none is named then.
"""

from __future__ import annotations

import re
from pathlib import Path

from ceremony import ledger
from ceremony import policy as policies
from ceremony.blobs import from_blob
from ceremony.errors import Refused, refuse
from ceremony.events import PolicyRead
from ceremony.ingest.reading import list_folder, read_regular
from ceremony.show import escaped
from ceremony.types import MediaFile
from transcripts import checkpoint

_HEAD = re.compile(r"[0-9a-f]{64}")


def head_before(incoming: Path, read: PolicyRead) -> str | None:
    """Return the head of the last ceremony in the ledger on the medium, None without one."""
    try:
        rule = policies.load(from_blob(read.policy).data).ledger
        if rule is None:
            return None
        files = [
            MediaFile(name, read_regular(incoming / name, ledger.MOST_BYTES))
            for name, _ in list_folder(incoming, "MED-SPECIAL")
            if ledger.is_ledger(name, rule.file)
        ]
    except (Refused, OSError):
        return None
    entries = ledger.read(files, rule.file, "").entries
    return entries[-1].head if entries else None


def given_head(text: str) -> str:
    """Return the head that --previous names: 64 hex digits, or a checkpoint.txt."""
    if _HEAD.fullmatch(text):
        return text
    try:
        data = read_regular(Path(text), checkpoint.MOST_BYTES)
    except OSError as error:
        said = f"{escaped(text, 80)} is no head and no checkpoint: {error.strerror or error}"
        raise refuse("TRN-PREVIOUS", said) from None
    return checkpoint.read_checkpoint(data).root.hex()
