"""Who a policy enrols for Sigstore: an identity, its issuer, and the trusted root to go by.

Decides the one name of such a signer. A Sigstore signature is made by a key that lives for
minutes, so what is enrolled, revoked and counted is the pair of issuer and identity; the
trusted root is not part of it, else one signer under two roots would be two. Refuses to know
certificates and whether anything is signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ceremony.errors import refuse
from ceremony.keys import PublicKey
from ceremony.policy_people import BuilderKey

RULE = "ATT-KEY"
ALGORITHM = "sigstore"
ANY_TAG = "@refs/tags/*"
# First bytes of the key's canonical form; no DER begins so, hence no other key is equal.
_HEAD = "uki-ceremony/sigstore/1"
_IDENTITY = re.compile(r"[\x21-\x29\x2b-\x7e]{3,512}")
_ISSUER = re.compile(r"https://[\x21-\x29\x2b-\x7e]{1,256}")
_ROOT = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_TAG = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,127}")


@dataclass(frozen=True, slots=True)
class SigstoreKey:
    """A pinned signer; `trusted_root` is the SHA-256 of trusted_root.json in hex."""

    identity: str
    issuer: str
    trusted_root: str

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """Return the signer in the form in which keys are enrolled."""
        spki = f"{_HEAD}\n{self.issuer}\n{self.identity}\n".encode("ascii")
        return (PublicKey(spki, ALGORITHM),)

    @property
    def key_id(self) -> str:
        """Return what the policy keeps beside the key: the trusted root's digest."""
        return self.trusted_root

    def names(self, identity: str, issuer: str) -> bool:
        """Say whether a certificate's identity and issuer are the ones enrolled."""
        if issuer != self.issuer:
            return False
        if not self.identity.endswith(ANY_TAG):
            return identity == self.identity
        head = self.identity.removesuffix("*")
        return identity.startswith(head) and bool(_TAG.fullmatch(identity.removeprefix(head)))


def parse_sigstore_key(identity: str, issuer: str, trusted_root_sha256: str) -> SigstoreKey:
    """Make a signer from the policy's three texts, or refuse (ATT-KEY).

    The identity is exact: an address or a workflow with its ref. One form is wider: a
    workflow that ends in @refs/tags/* stands for every tag of that repository.
    """
    if not _IDENTITY.fullmatch(identity.removesuffix("*" * identity.endswith(ANY_TAG))):
        text = f"a Sigstore identity is printable, without * except a last {ANY_TAG}"
        raise refuse(RULE, text)
    if not _ISSUER.fullmatch(issuer):
        raise refuse(RULE, "a Sigstore issuer is an https:// address")
    root = _ROOT.fullmatch(trusted_root_sha256)
    if not root:
        raise refuse(RULE, "trusted_root_sha256 is sha256: and 64 lower-case hex digits")
    return SigstoreKey(identity, issuer, root[1])


def enrolled_signer(key: BuilderKey) -> SigstoreKey | None:
    """Return the signer that an enrolled key is, None where it is a real key."""
    if key.key.algorithm != ALGORITHM:
        return None
    _, issuer, identity, _ = key.key.spki.decode("ascii").split("\n")
    return SigstoreKey(identity, issuer, key.key_id)
