"""Who takes part in a rehearsal: the owners of the policy and the people with roles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tui import ssh_keys


@dataclass(frozen=True, slots=True)
class Player:
    """One person: id, name, organisation, and what they do, for the sheet."""

    id: str
    name: str
    organisation: str
    part: str


ADMINISTRATOR = Player("carol", "Carol Admin", "Example", "administrator")
INTERNAL_WITNESS = Player("ines", "Ines Inner", "Example", "internal witness")
EXTERNAL_WITNESS = Player("ed", "Ed Outer", "Notary Ltd", "external witness")
KEY_HOLDERS = (
    Player("kim", "Kim Keys", "Example", "key holder"),
    Player("kay", "Kay Keys", "Example", "key holder"),
)
PLAYERS = (ADMINISTRATOR, INTERNAL_WITNESS, EXTERNAL_WITNESS, *KEY_HOLDERS)
OWNERS = ("owner-1", "owner-2")


def make_people(folder: Path) -> dict[str, str]:
    """Make a key in `folder` for every owner and player; return public key lines by id."""
    ids = (*OWNERS, *(player.id for player in PLAYERS))
    return {name: ssh_keys.make_key(folder / name, name) for name in ids}
