"""Sheet P: the paper that a person brings from another machine, with the image's digest.

In a real ceremony it is printed elsewhere; a rehearsal writes it beside the media.
"""

from __future__ import annotations

from dataclasses import dataclass

from ceremony.show import counted, escaped, grouped
from ceremony.words import rows
from tui.rehearsal.people import PLAYERS

RULER = "-" * 72


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """What stands on the sheet: the image, its SHA-256, the policy's SHA-256, the PIN."""

    name: str
    size: int
    sha256: bytes
    policy_sha256: bytes
    pin: str


def sheet_text(facts: SheetFacts) -> str:
    """Return the sheet as ASCII text, at most 80 columns."""
    digest = facts.sha256.hex()
    lines = [
        "SHEET P - REHEARSAL - brought from another machine",
        RULER,
        f"image       {escaped(facts.name, 60)}",
        f"size        {counted(facts.size)}",
        f"SHA-256     {grouped(digest[:32])}",
        f"            {grouped(digest[32:])}",
        "",
        "The same digest as 32 words. Odd words have two syllables, even words three.",
        "",
        *(f"   {row}".rstrip() for row in rows(facts.sha256)),
        "",
        RULER,
        f"policy.toml SHA-256  {grouped(facts.policy_sha256.hex()[:32])}",
        f"                     {grouped(facts.policy_sha256.hex()[32:])}",
        f"rehearsal PIN: {facts.pin}",
        RULER,
        *(f"{player.id:<8}{player.name:<16}{player.part}" for player in PLAYERS),
    ]
    return "\n".join(lines) + "\n"
