"""What the primary key of an OpenPGP certificate says of its subkeys and user ids.

Decides which subkeys sign for it: only those with a binding signature by the primary and
their own signature back (RFC 9580 5.2.1.8 and 5.2.1.9). A revoked primary is refused, a
revoked subkey left out. Refuses to know expiry: the policy's window decides that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ceremony.attest import openpgp_signature as sig
from ceremony.attest.openpgp_material import RULE, OpenPgpMember, framed, read_member
from ceremony.attest.openpgp_signature import OpenPgpSignature, read_signature
from ceremony.attest.openpgp_wire import Packet
from ceremony.attest.ssh_wire import uint32
from ceremony.errors import Refused, refuse
from ceremony.keys import PublicKey
from ceremony.show import escaped

REVOKED_RULE = "ATT-OPENPGP-REVOKED"
MOST_CHECKS = 256

SUBKEY_TAG, USER_ID_TAG = 14, 13
# What RFC 4880 and 9580 define for a key's own signatures; nothing here depends on the rest.
UNDERSTOOD = (*range(2, 13), *range(20, 35), 39)
CERTIFICATIONS = (0x10, 0x11, 0x12, 0x13)
DIRECT = 0x1F
BINDING, BACK, REVOKES_KEY, REVOKES_SUBKEY, REVOKES_ID = 0x18, 0x19, 0x20, 0x28, 0x30
MAY_SIGN = 0x02

Part: TypeAlias = tuple[Packet, list[OpenPgpSignature]]


@dataclass(frozen=True, slots=True)
class OpenPgpKey:
    """A certificate: the primary first, then the bound signing subkeys.

    `user_ids` are escaped and certified by the primary itself; `notes` say what was left out.
    `certifies_only` is True where the primary's last word on itself does not let it sign data.
    """

    members: tuple[OpenPgpMember, ...]
    user_ids: tuple[str, ...]
    notes: tuple[str, ...]
    certifies_only: bool = False

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """Return the public keys, the primary's first."""
        return tuple(member.key for member in self.members)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Return the keys' fingerprints, in the order of `keys`."""
        return tuple(member.fingerprint for member in self.members)

    @property
    def fingerprint(self) -> str:
        """Return the primary's fingerprint."""
        return self.members[0].fingerprint


def read_certifications(body: bytes) -> Iterator[OpenPgpSignature]:
    """Read a signature in a key; one that is not v4 or not well-formed certifies nothing."""
    try:
        yield read_signature(body, UNDERSTOOD)
    except Refused:
        return


class Certificate:
    """Reads what the primary key says of its user ids and subkeys."""

    def __init__(self, primary: OpenPgpMember, parts: list[Part]) -> None:
        self._primary = primary
        self._framed = framed(primary.body)
        self._parts = parts
        self._checks = 0
        self._notes: list[str] = []
        self._flags: list[tuple[int, bytes]] = []  # when, and which key flags

    def read(self) -> OpenPgpKey:
        """Return the certificate, or refuse a revoked one."""
        if self._revoked(self._parts[0][1], REVOKES_KEY, self._framed):
            text = f"the key {self._primary.fingerprint} is revoked by its owner"
            raise refuse(REVOKED_RULE, text)
        self._may(s for s in self._parts[0][1] if s.kind == DIRECT and self._signed_itself(s))
        members = [self._primary]
        user_ids: list[str] = []
        for packet, signatures in self._parts[1:]:
            if packet.tag == SUBKEY_TAG:
                members.extend(self._subkey(packet.body, signatures))
            elif packet.tag == USER_ID_TAG:
                user_ids.extend(self._user_id(packet.body, signatures))
        if len({member.key.fpr for member in members}) != len(members):
            raise refuse(RULE, "one key stands in it twice")
        flags = max(self._flags)[1] if self._flags else b""
        only = bool(flags) and not flags[0] & MAY_SIGN
        return OpenPgpKey(tuple(members), tuple(user_ids), tuple(self._notes), only)

    def _may(self, signatures: Iterable[OpenPgpSignature]) -> None:
        """Note what the primary says that it is for; RFC 9580 5.2.3.29, the last word counts."""
        self._flags += [(s.created, flags) for s in signatures for flags in s.stated(sig.KEY_FLAGS)]

    def _signed_itself(self, signature: OpenPgpSignature) -> bool:
        return self._own(signature) and self._fits(signature, self._framed, self._primary.key)

    def _subkey(self, body: bytes, signatures: list[OpenPgpSignature]) -> Iterator[OpenPgpMember]:
        content = self._framed + framed(body)
        bindings = [s for s in signatures if s.kind == BINDING and self._own(s)]
        bindings.sort(key=lambda binding: binding.created, reverse=True)
        primary = self._primary.key
        newest = next((each for each in bindings if self._fits(each, content, primary)), None)
        signs = any(_may_sign(binding) for binding in bindings)
        if not signs or (newest is not None and not _may_sign(newest)):
            return
        try:
            member = read_member(body)
        except Refused as error:
            self._notes.append(f"a subkey is left out: {error.findings[0].text}")
            return
        name = f"the subkey {member.fingerprint} is left out"
        if self._revoked(signatures, REVOKES_SUBKEY, content):
            self._notes.append(f"{name}: it is revoked")
        elif newest is None:
            self._notes.append(f"{name}: no SHA-2 binding signature of the primary's fits")
        elif not any(self._fits(back, content, member.key) for back in _backs(newest)):
            self._notes.append(f"{name}: it did not sign back with SHA-2")
        else:
            yield member

    def _user_id(self, body: bytes, signatures: list[OpenPgpSignature]) -> Iterator[str]:
        content = self._framed + b"\xb4" + uint32(len(body)) + body
        shown = escaped(body.decode("utf-8", "backslashreplace"))
        if self._revoked(signatures, REVOKES_ID, content):
            self._notes.append(f"the user id {shown} is left out: it is revoked")
        elif newest := self._newest(signatures, content):
            self._may((newest,))
            yield shown
        else:
            text = "no SHA-2 signature of the key's own fits"
            self._notes.append(f"the user id {shown} is left out: {text}")

    def _newest(
        self, signatures: list[OpenPgpSignature], content: bytes
    ) -> OpenPgpSignature | None:
        """Return the last signature of the primary's own over a user id, if there is one."""
        own = [s for s in signatures if s.kind in CERTIFICATIONS and self._own(s)]
        own.sort(key=lambda certification: certification.created, reverse=True)
        return next((s for s in own if self._fits(s, content, self._primary.key)), None)

    def _own(self, signature: OpenPgpSignature) -> bool:
        """Say whether a signature claims to be the primary's; only a check shows that it is."""
        own = self._primary.fingerprint
        return signature.fingerprint in ("", own) and signature.issuer in ("", own[-16:])

    def _fits(self, signature: OpenPgpSignature, content: bytes, key: PublicKey) -> bool:
        self._checks += 1
        if self._checks > MOST_CHECKS:
            text = f"more than {MOST_CHECKS} signatures to check: export it with export-minimal"
            raise refuse(RULE, text)
        try:
            signature.verify(key, signature.hasher(content))
        except Refused:
            return False
        return True

    def _revoked(self, signatures: list[OpenPgpSignature], kind: int, content: bytes) -> bool:
        # A revocation made with an old hash cannot be checked here and is taken at its word:
        # it can only take away.
        return any(
            signature.hash_id not in sig.HASHES or self._fits(signature, content, self._primary.key)
            for signature in signatures
            if signature.kind == kind and self._own(signature)
        )


def _may_sign(binding: OpenPgpSignature) -> bool:
    return any(flags and flags[0] & MAY_SIGN for flags in binding.stated(sig.KEY_FLAGS))


def _backs(binding: OpenPgpSignature) -> Iterator[OpenPgpSignature]:
    for part in (*binding.hashed, *binding.unhashed):
        if part.kind == sig.EMBEDDED:
            yield from (back for back in read_certifications(part.body) if back.kind == BACK)
