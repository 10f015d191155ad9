"""The policy's [[builder]] tables and the keys in them, in every wrapping.

Decides which public keys a builder signs with: one `[[builder.key]]` table gives one key, or
each signing key of an OpenPGP certificate, or the name of a Sigstore identity. All of them
are one builder's, hence one vote. Refuses to know what the builders sign.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ceremony import keys
from ceremony import policy_people as people
from ceremony.attest.nix_key import parse_nix_key
from ceremony.attest.openpgp_key import parse_openpgp_key
from ceremony.attest.signify import parse_signify_key
from ceremony.attest.sigstore_key import parse_sigstore_key
from ceremony.errors import Refused
from ceremony.policy_people import KeyWrapping
from ceremony.policy_tables import Table
from ceremony.show import escaped

MOST_KEYS = 64
# `type` may say which kind of OpenSSH key is meant.
SSH_TYPES = (
    *("ssh-ed25519", "ssh-rsa", "sk-ssh-ed25519@openssh.com"),
    *("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
MOST_CERTIFICATE = 1 << 19  # characters of an OpenPGP certificate

Key = TypeVar("Key")
# A public key and what its wrapping calls it.
Wrapped = tuple[keys.PublicKey, str]


def builder(table: Table, keys_before: int) -> people.Builder:
    """Read [[builder]]; `keys_before` [[builder.key]] tables stand above it in the file."""
    isolation = table.name_text("isolation")
    if isolation and not _is_isolation(isolation):
        known = ", ".join(people.ISOLATIONS)
        why = f"{escaped(isolation)} is none of {known}, other:<text>"
        table.fault("POL-VALUE", "isolation", why)
    jailed = table.flag("require_jail_metadata", default=False)
    if jailed and isolation != people.JAIL:
        why = f'only a builder of isolation "{people.JAIL}" has a jail'
        table.fault("POL-VALUE", "require_jail_metadata", why)
    read = people.Builder(
        id=table.name_text("id"),
        organisation=table.name_text("organisation"),
        persons=table.texts("persons"),
        isolation=isolation,
        cpu_vendor=table.name_text("cpu_vendor", ""),
        host=table.name_text("host", ""),
        network=table.name_text("network", ""),
        os=table.name_text("os", ""),
        shares_with=table.texts("shares_with", ()),
        formats=table.among("formats", people.FORMATS, people.FORMATS),
        keys=tuple(
            key
            for place in table.tables("key", MOST_KEYS, keys_before)
            for key in _builder_keys(place)
        ),
        require_jail_metadata=jailed,
    )
    table.end()
    return read


def _is_isolation(text: str) -> bool:
    kind, colon, other = text.partition(":")
    return text in people.ISOLATIONS or (kind + colon == "other:" and bool(other.strip()))


def _builder_keys(table: Table) -> tuple[people.BuilderKey, ...]:
    kind = table.text("type", KeyWrapping.SSH)
    wrapping = KeyWrapping.SSH
    if kind not in SSH_TYPES:
        wrapping = table.choice("type", KeyWrapping, KeyWrapping.SSH)
    namespace = table.name_text("namespace", people.ATTESTATION_NAMESPACE)
    valid_from, valid_to = table.moment("from"), table.moment("to")
    if valid_from >= valid_to:
        table.fault("POL-PERIOD", "to", "the window ends before it begins")
    wrapped = _wrapped(table, wrapping)
    if wrapped:
        _check_said(table, kind, {key.fpr for key, _ in wrapped})
    principals = _principals(table) if wrapping is KeyWrapping.SSH_CA else ()
    touch = _touch(table, wrapping, wrapped)
    table.end()
    entry = int(table.name.partition(" ")[2])
    window = (namespace, valid_from, valid_to)
    return tuple(
        people.BuilderKey(key, wrapping, key_id, *window, entry, principals, touch)
        for key, key_id in wrapped
    )


def _check_said(table: Table, kind: str, fprs: set[str]) -> None:
    """POL-PUBLIC-KEY: the key is of the kind and has the identity that stand beside it."""
    if kind in SSH_TYPES and table.text("public").split(" ")[0] != kind:
        table.fault("POL-PUBLIC-KEY", "type", f"the key is no {kind}")
    said = table.text("fpr", "")
    if table.has("fpr") and said not in fprs:
        there = ", ".join(sorted(fprs))
        table.fault("POL-PUBLIC-KEY", "fpr", f"the key's identity is {there}")


def _principals(table: Table) -> tuple[str, ...]:
    principals = table.texts("principals")
    if table.has("principals") and not principals:
        why = "at least one name is wanted, as ssh-keygen -s CA -n NAME certifies it"
        table.fault("POL-VALUE", "principals", why)
    return principals


def _touch(table: Table, wrapping: KeyWrapping, wrapped: tuple[Wrapped, ...]) -> people.Touch:
    touch = table.choice("touch", people.Touch, people.Touch.REQUIRED)
    plain = wrapping is not KeyWrapping.SSH_CA and not any(k.is_security_key for k, _ in wrapped)
    if table.has("touch") and wrapped and plain:
        table.fault("POL-VALUE", "touch", "only a security key (sk-) can be touched")
    return touch


def _wrapped(table: Table, wrapping: KeyWrapping) -> tuple[Wrapped, ...]:
    if wrapping is KeyWrapping.SIGSTORE:
        identity, issuer = table.text("identity"), table.text("issuer")
        root = table.text("trusted_root_sha256")
        if table.is_open("trusted_root_sha256", root):
            return ()
        return _read(table, "identity", lambda: _sigstore(identity, issuer, root))
    most = MOST_CERTIFICATE if wrapping is KeyWrapping.OPENPGP else keys.MOST_KEY_BYTES
    public = table.text("public", most=most)
    if not public or table.is_open("public", public):
        return ()
    return _read(table, "public", lambda: _parsed(wrapping, public))


def _read(table: Table, name: str, parse: Callable[[], tuple[Wrapped, ...]]) -> tuple[Wrapped, ...]:
    return readable(table, name, parse) or ()


def _sigstore(identity: str, issuer: str, root: str) -> tuple[Wrapped, ...]:
    read = parse_sigstore_key(identity, issuer, root)
    return tuple((key, read.key_id) for key in read.keys)


def _parsed(wrapping: KeyWrapping, public: str) -> tuple[Wrapped, ...]:
    match wrapping:
        case KeyWrapping.SSH | KeyWrapping.SSH_CA:
            return ((keys.parse_ssh_line(public)[0], ""),)
        case KeyWrapping.MINISIGN:
            key, key_id = keys.parse_minisign(public)
            return ((key, key_id.hex()),)
        case KeyWrapping.SPKI:
            return ((keys.parse_spki(public), ""),)
        case KeyWrapping.OPENPGP:
            certificate = parse_openpgp_key(public)
            return tuple(zip(certificate.keys, certificate.key_ids, strict=True))
        case KeyWrapping.NIX:
            nix = parse_nix_key(public)
            return tuple((key, nix.key_id) for key in nix.keys)
        case KeyWrapping.SIGNIFY:
            signify = parse_signify_key(public)
            return tuple((key, signify.key_id) for key in signify.keys)
        case KeyWrapping.SIGSTORE:
            raise TypeError("a Sigstore identity is no public key")


def readable(table: Table, name: str, parse: Callable[[], Key], which: str = "") -> Key | None:
    """Return what `parse` reads, or note POL-PUBLIC-KEY, `which` first, and return None."""
    try:
        return parse()
    except Refused as error:
        table.fault("POL-PUBLIC-KEY", name, which + error.findings[0].text)
        return None
