"""The parent's side of a PIN in parts: one part at a time goes to the token's process."""

from __future__ import annotations

from ceremony.errors import OutOfOrder
from ceremony.pin_parts import PinPart
from hsm.child import Child
from hsm.evidence import text

MOST_PART = 1024  # bytes of one part: the words of a share are under 300


def offered(child: Child | None, typed: bytearray, part: PinPart, limit: float) -> str:
    """Send one part over the PIN's pipe; return why the process does not take it, or ""."""
    if child is None:
        raise OutOfOrder("a probe starts the process")
    if len(typed) > MOST_PART:
        return f"it has more than {MOST_PART} characters"
    child.send_pin(typed)
    answer = child.ask(
        "part",
        limit,
        length=len(typed),
        entry=part.entry,
        number=part.number,
        of=part.of,
    )
    return text(answer, "why")
