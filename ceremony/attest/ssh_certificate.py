"""An OpenSSH certificate (PROTOCOL.certkeys): an authority's word that a key is somebody's.

    string type | string nonce | the key's own fields | uint64 serial | uint32 kind
    | string key id | string principals | uint64 valid after | uint64 valid before
    | string critical options | string extensions | string reserved
    | string authority's key | string signature over all that stands before it

Decides whether a blob is such a certificate, whole and signed by the authority that it
names. Refuses to know which authorities count, for whom, and what the time is.
"""

from __future__ import annotations

from dataclasses import dataclass

from ceremony.attest.ssh_signature import (
    KeySignature,
    read_signature,
    touched,
    verify_signature,
)
from ceremony.attest.ssh_wire import WireReader, string
from ceremony.errors import Refused, refuse
from ceremony.keys import PublicKey, Scheme, parse_ssh_blob
from ceremony.show import escaped

RULE = "ATT-CERTIFICATE"
MOST_BYTES = 1 << 15
MOST_PRINCIPALS = 256  # OpenSSH: SSHKEY_CERT_MAX_PRINCIPALS
MOST_OPTIONS = 64
USER = 1  # SSH2_CERT_TYPE_USER; a host's is 2
HOST = 2
VERIFY_REQUIRED = "verify-required"

# The plain key's type, and how many fields of the certificate are the key's.
_KINDS = {
    "ssh-ed25519-cert-v01@openssh.com": (b"ssh-ed25519", 1),
    "ssh-rsa-cert-v01@openssh.com": (b"ssh-rsa", 2),
    "ecdsa-sha2-nistp256-cert-v01@openssh.com": (b"ecdsa-sha2-nistp256", 2),
    "ecdsa-sha2-nistp384-cert-v01@openssh.com": (b"ecdsa-sha2-nistp384", 2),
    "ecdsa-sha2-nistp521-cert-v01@openssh.com": (b"ecdsa-sha2-nistp521", 2),
    "sk-ssh-ed25519-cert-v01@openssh.com": (b"sk-ssh-ed25519@openssh.com", 2),
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": (b"sk-ecdsa-sha2-nistp256@openssh.com", 3),
}


@dataclass(frozen=True, slots=True)
class SshCertificate:
    """A certificate that its authority signed; times are seconds since 1970, before is open.

    `options` are the critical ones by name. `signed` and `signature` are its two halves as
    they stand in the file; `scheme` and `touched` say how the authority signed.
    """

    public_key: PublicKey
    authority: PublicKey
    user: bool
    serial: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    options: tuple[str, ...]
    scheme: Scheme
    touched: bool
    signed: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class _Fields:
    public_key: PublicKey
    serial: int
    kind: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    options: tuple[str, ...]
    authority: PublicKey


def is_certificate(blob: bytes) -> bool:
    """Say whether a public key blob names a certificate's type, of whatever version."""
    return b"-cert-v" in blob[:64]


def read_certificate(blob: bytes) -> SshCertificate:
    """Read a certificate; Refused (ATT-CERTIFICATE, ATT-KEY) says what is wrong with it."""
    if len(blob) > MOST_BYTES:
        raise refuse(RULE, f"the certificate has more than {MOST_BYTES} bytes")
    wire = WireReader(blob, RULE)
    fields = _fields(wire)
    signed = blob[: wire.at]
    signature = wire.string()
    wire.end()
    return _certificate(fields, signed, signature, _signed(signed, signature, fields.authority))


def proved_certificate(signed: bytes, signature: bytes, authority: PublicKey) -> SshCertificate:
    """Read what `authority` signed, after the check that it did; Refused as read_certificate."""
    made = _signed(signed, signature, authority)
    wire = WireReader(signed, RULE)
    fields = _fields(wire)
    wire.end()
    if fields.authority != authority:
        raise refuse(RULE, "the certificate names another authority than the one that signed it")
    return _certificate(fields, signed, signature, made)


def _certificate(
    fields: _Fields, signed: bytes, signature: bytes, made: KeySignature
) -> SshCertificate:
    return SshCertificate(
        public_key=fields.public_key,
        authority=fields.authority,
        user=fields.kind == USER,
        serial=fields.serial,
        key_id=fields.key_id,
        principals=fields.principals,
        valid_after=fields.valid_after,
        valid_before=fields.valid_before,
        options=fields.options,
        scheme=made.scheme,
        touched=touched(fields.authority, made.flags),
        signed=signed,
        signature=signature,
    )


def _signed(signed: bytes, blob: bytes, authority: PublicKey) -> KeySignature:
    signature = read_signature(authority, blob, RULE)
    try:
        verify_signature(authority, signature, signed)
    except Refused:
        text = "its authority did not sign the certificate: the signature does not fit"
        raise refuse(RULE, text) from None
    return signature


def _fields(wire: WireReader) -> _Fields:
    kind = wire.name()
    if kind not in _KINDS:
        raise refuse(RULE, f"the certificate type {escaped(kind)} is not known here")
    wire.string()  # the nonce
    plain, count = _KINDS[kind]
    key = parse_ssh_blob(string(plain) + b"".join(string(wire.string()) for _ in range(count)))
    serial, use = wire.uint64(), wire.uint32()
    if use not in (USER, HOST):
        raise refuse(RULE, f"the certificate is neither a user's nor a host's but {use}")
    key_id = _text(wire.string())
    principals = _principals(wire.string())
    after, before = wire.uint64(), wire.uint64()
    options = _options(wire.string())
    _options(wire.string())  # extensions permit a login something; a signature needs none
    wire.string()  # "reserved: currently unused and is ignored in this version"
    return _Fields(
        public_key=key,
        serial=serial,
        kind=use,
        key_id=key_id,
        principals=principals,
        valid_after=after,
        valid_before=before,
        options=options,
        authority=_authority(wire.string()),
    )


def _authority(blob: bytes) -> PublicKey:
    # "Chained" certificates, where the signature key type is a certificate type itself, are
    # "NOT SUPPORTED".
    if is_certificate(blob):
        raise refuse(RULE, "the authority's key is a certificate itself; chains do not count")
    return parse_ssh_blob(blob)


def _principals(blob: bytes) -> tuple[str, ...]:
    wire = WireReader(blob, RULE)
    found: list[str] = []
    while wire.more:
        found.append(_text(wire.string()))
        if len(found) > MOST_PRINCIPALS:
            raise refuse(RULE, f"the certificate names more than {MOST_PRINCIPALS} principals")
    return tuple(found)


def _options(blob: bytes) -> tuple[str, ...]:
    """Return the names; "each named option may only appear once in a certificate"."""
    wire = WireReader(blob, RULE)
    found: list[str] = []
    while wire.more:
        name = wire.name()
        wire.string()
        if name in found:
            raise refuse(RULE, f"the option {escaped(name)} stands twice")
        found.append(name)
        if len(found) > MOST_OPTIONS:
            raise refuse(RULE, f"the certificate has more than {MOST_OPTIONS} options")
    return tuple(found)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise refuse(RULE, "a name in the certificate is not UTF-8") from None
