"""The people and builders that a policy enrols, with their keys.

Decides only shapes and the words that may stand in them. Attributes count as enrolled here,
whatever an attestation says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ceremony.keys import PublicKey

ATTESTATION_NAMESPACE = "uki-attestation"
FORMATS = (
    *("sshsig", "minisign", "signify", "openpgp", "dsse", "in-toto-link", "rebuilderd"),
    *("sigstore", "narinfo"),
)
DIVERSITY = ("organisation", "isolation", "cpu_vendor", "network", "os")
ISOLATIONS = (
    *("none", "nix-sandbox", "docker", "podman", "bwrap", "flatpak", "qemu-vm", "lima-vm"),
    *("freebsd-jail", "guix-container", "bare-metal", "tee-vm"),
)
# What was built in these came out of an image: without its digest nobody knows which.
CONTAINERS = ("docker", "podman")
JAIL = "freebsd-jail"


class Revocation(StrEnum):
    """Which signatures of a revoked key are void: all, or those from `since` on."""

    ALL = "all"
    AFTER = "after"


class Touch(StrEnum):
    """Whether a security key's signature counts that nobody touched it for."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class KeyWrapping(StrEnum):
    """In which form a builder's key is written in the policy."""

    SSH = "ssh"
    SSH_CA = "ssh-ca"
    MINISIGN = "minisign"
    SPKI = "spki"
    OPENPGP = "openpgp"
    NIX = "nix"
    SIGNIFY = "signify"
    SIGSTORE = "sigstore"


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A public key and the comment that stood behind it."""

    key: PublicKey
    comment: str


@dataclass(frozen=True, slots=True)
class Person:
    """Someone with a role, and the keys they countersign with."""

    id: str
    name: str
    organisation: str
    keys: tuple[NamedKey, ...]


@dataclass(frozen=True, slots=True)
class BuilderKey:
    """One key of a builder and the window [valid_from, valid_to) of its signatures.

    `key_id` is what its wrapping calls it, a hint: a minisign or signify id, an OpenPGP
    fingerprint, a Nix key's name, the trusted root of a Sigstore identity. An OpenPGP
    certificate gives one of these for each of its keys that can sign. `entry` is the number
    of the [[builder.key]] table that the key stands in. A certificate authority certifies
    keys for one of the `principals` and signs nothing itself; no more does an OpenPGP primary
    key that only certifies, whose `signs` is False.
    """

    key: PublicKey
    wrapping: KeyWrapping
    key_id: str
    namespace: str
    valid_from: datetime
    valid_to: datetime
    entry: int = 0
    principals: tuple[str, ...] = ()
    touch: Touch = Touch.REQUIRED
    signs: bool = True


@dataclass(frozen=True, slots=True)
class Builder:
    """One enrolled builder with the attributes that count, whatever it says of itself.

    `require_jail_metadata`: a vote only with a jail-metadata.txt that shows a closed jail.
    """

    id: str
    organisation: str
    persons: tuple[str, ...]
    isolation: str
    cpu_vendor: str
    host: str
    network: str
    os: str
    shares_with: tuple[str, ...]
    formats: tuple[str, ...]
    keys: tuple[BuilderKey, ...]
    require_jail_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Revoked:
    """A key whose signatures are void, by identity.

    With `serials` or `key_ids` it is a certificate authority's, and void are only the
    certificates that bear one of them.
    """

    fpr: str
    since: datetime
    mode: Revocation
    serials: tuple[int, ...] = ()
    key_ids: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """True where the key itself is void."""
        return not (self.serials or self.key_ids)
