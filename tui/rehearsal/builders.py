"""The three builders of a rehearsal: other keys, organisations, isolation, formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tui import attesting, ssh_keys
from tui.attesting import Claim
from tui.rehearsal import attestations


@dataclass(frozen=True, slots=True)
class Builder:
    """One builder: what the policy says of it, and how it makes its key and attests."""

    id: str
    organisation: str
    person: str
    isolation: str
    cpu_vendor: str
    format: str
    key_type: str
    make_key: Callable[[Path], str]
    attest: Callable[[Claim, Path], dict[str, bytes]]


def _ssh_key(path: Path) -> str:
    return ssh_keys.make_key(path, path.name)


BUILDERS = (
    Builder(
        *("ci-a", "Example", "oscar", "nix-sandbox", "intel", "sshsig", "ssh"),
        make_key=_ssh_key,
        attest=attesting.sums,
    ),
    Builder(
        *("alice", "Alice Labs", "alice", "qemu-vm", "amd", "minisign", "minisign"),
        make_key=attestations.make_minisign_key,
        attest=attestations.minisign,
    ),
    Builder(
        *("bob", "Bob BV", "bob", "freebsd-jail", "amd", "dsse", "spki"),
        make_key=attestations.make_dsse_key,
        attest=attesting.attest,
    ),
)


def make_builders(folder: Path) -> dict[str, str]:
    """Make every builder's key in `folder`; return the public keys by id, as policies say them."""
    return {builder.id: builder.make_key(folder / builder.id) for builder in BUILDERS}


def attest_all(claim: Claim, keys: Path) -> dict[str, bytes]:
    """Return the files of all builders' attestations, by name."""
    files: dict[str, bytes] = {}
    for builder in BUILDERS:
        files |= builder.attest(replace(claim, builder=builder.id), keys / builder.id)
    return files
