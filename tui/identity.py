"""Which program this is: its version and one digest over every installed file of it.

SHA-256 over lines "<sha256>  <path>" of the four rooms' files by path, as sha256sum prints
them, so that anybody can compute it from an installed copy without the program.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from ceremony.errors import refuse

ROOMS = ("ceremony", "hsm", "transcripts", "tui")
HOME = Path(__file__).resolve().parent.parent


def tool_version() -> str:
    """Return "uki-ceremony <version>"."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow, rare

    try:
        return f"uki-ceremony {version('uki-ceremony')}"
    except PackageNotFoundError:
        return "uki-ceremony (not installed)"


@cache
def tool_sha256() -> str:
    """Return the digest of the installed program in hex."""
    files = sorted(
        path
        for room in ROOMS
        for path in (HOME / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    lines = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(HOME)}\n"
        for path in files
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def require_one_home() -> None:
    """Refuse to run when a room was imported from elsewhere, as from a hostile folder."""
    import ceremony  # noqa: PLC0415 - the modules as this process really imported them
    import hsm  # noqa: PLC0415 - as above
    import transcripts  # noqa: PLC0415 - as above

    for module in (ceremony, hsm, transcripts):
        found = Path(str(module.__file__)).resolve().parent.parent
        if found != HOME:
            raise refuse("AIR-PROGRAM", f"{module.__name__} was loaded from {found}, not {HOME}")
