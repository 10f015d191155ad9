"""SSHSIG, the signature format of `ssh-keygen -Y sign` (OpenSSH PROTOCOL.sshsig).

    "SSHSIG" | uint32 1 | string publickey | string namespace | string reserved
             | string hash_algorithm | string signature        armoured in base64
    signed:  "SSHSIG" | string namespace | string reserved | string hash_algorithm
             | string H(message)

Decides whether a file is such a signature and whether it fits a message and namespace.
Refuses to know whose key it is and what the message means.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ceremony.attest import contents
from ceremony.attest.ssh_wire import WireReader, string, uint32
from ceremony.attest.strict_base64 import decoded
from ceremony.errors import refuse
from ceremony.keys import PublicKey, Scheme, parse_ssh_blob
from ceremony.show import escaped

RULE = "ATT-SSHSIG"
MAGIC = b"SSHSIG"
VERSION = 1
BEGIN = b"-----BEGIN SSH SIGNATURE-----"
END = b"-----END SSH SIGNATURE-----"
MOST_BYTES = 1 << 16
MOST_COLUMNS = 76
WRITTEN_COLUMNS = 70  # as ssh-keygen writes
TOUCHED = 0x01  # PROTOCOL.u2f: bit 0, user presence

HASHES = ("sha256", "sha512")
_ECDSA = {
    "ecdsa-sha2-nistp256": "ecdsa-p256-sha256",
    "ecdsa-sha2-nistp384": "ecdsa-p384-sha384",
    "ecdsa-sha2-nistp521": "ecdsa-p521-sha512",
}
_RSA = {"rsa-sha2-256": Scheme.RSA_PKCS1_SHA256, "rsa-sha2-512": Scheme.RSA_PKCS1_SHA512}


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A parsed signature: the raw value in the form `key.verify` takes, and what it says.

    `flags` and `counter` are the security key's, 0 for other keys.
    """

    public_key: PublicKey
    namespace: str
    hash_algorithm: str
    scheme: Scheme
    signature: bytes
    flags: int = 0
    counter: int = 0

    @property
    def touched(self) -> bool:
        """True when no touch is needed or the security key says that it was touched."""
        return not self.public_key.is_security_key or bool(self.flags & TOUCHED)


def signed_data(namespace: str, message: bytes, hash_algorithm: str = "sha512") -> bytes:
    """Return the bytes that a signer signs for `message`."""
    digest = contents.digest(message, hash_algorithm)
    # sshsig.c writes and checks an empty reserved field, whatever the blob carries.
    fields = (namespace.encode(), b"", hash_algorithm.encode(), digest)
    return MAGIC + b"".join(string(field) for field in fields)


def armor(public_blob: bytes, namespace: str, signature_blob: bytes, hash_algorithm: str) -> bytes:
    """Return the armoured file of an SSH public key blob and an SSH signature blob."""
    fields = (public_blob, namespace.encode(), b"", hash_algorithm.encode(), signature_blob)
    blob = MAGIC + uint32(VERSION) + b"".join(string(field) for field in fields)
    text = base64.b64encode(blob)
    lines = (text[i : i + WRITTEN_COLUMNS] for i in range(0, len(text), WRITTEN_COLUMNS))
    return b"\n".join((BEGIN, *lines, END, b""))


def looks_like_sshsig(data: bytes) -> bool:
    """Say whether the file begins as an armoured SSHSIG does."""
    return data.startswith(BEGIN)


def read_sshsig(data: bytes) -> SshSignature:
    """Read an armoured signature strictly; Refused (ATT-SSHSIG) says what is wrong."""
    wire = WireReader(_dearmored(data), RULE)
    if wire.take(len(MAGIC)) != MAGIC:
        raise refuse(RULE, "the blob does not begin with SSHSIG")
    # PROTOCOL.sshsig: "Verifiers MUST reject signatures with versions greater than those
    # they support."
    if (version := wire.uint32()) != VERSION:
        raise refuse(RULE, f"SSHSIG version {version} is not known here")
    key = parse_ssh_blob(wire.string())
    namespace = wire.name()
    # "The namespace value MUST NOT be the empty string."
    if not namespace:
        raise refuse(RULE, "the namespace is empty")
    # "Implementations should ignore the reserved field if it is not empty."
    wire.string()
    hash_algorithm = wire.name()
    if hash_algorithm not in HASHES:
        raise refuse(RULE, f"the hash {escaped(hash_algorithm)} is neither sha256 nor sha512")
    signature = wire.string()
    wire.end()
    return _signature(key, namespace, hash_algorithm, signature)


def verify_sshsig(signature: SshSignature, message: bytes, namespace: str) -> PublicKey:
    """Return the key that signed `message` in `namespace`, or Refused (ATT-)."""
    if signature.namespace != namespace:
        raise refuse(
            "ATT-NAMESPACE",
            f"signed for the namespace {escaped(signature.namespace)}, not {escaped(namespace)}",
        )
    data = signed_data(namespace, message, signature.hash_algorithm)
    key = signature.public_key
    if key.is_security_key:
        # PROTOCOL.u2f, "SSH U2F Signatures": over the hash of the application, the flags byte,
        # the counter and the hash of the data.
        data = (
            hashlib.sha256(key.application.encode()).digest()
            + bytes([signature.flags])
            + uint32(signature.counter)
            + hashlib.sha256(data).digest()
        )
    key.verify(signature.signature, data, signature.scheme)
    return key


def _dearmored(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the signature has more than {MOST_BYTES} bytes")
    lines = data.split(b"\n")
    if lines[0] != BEGIN or lines[-1] or END not in lines[-2:-1]:
        raise refuse(RULE, "the armour does not begin and end as SSHSIG does")
    body = lines[1:-2]
    if any(not 0 < len(line) <= MOST_COLUMNS for line in body):
        raise refuse(RULE, f"an armour line is empty or longer than {MOST_COLUMNS} columns")
    try:
        text = b"".join(body).decode("ascii")
    except UnicodeDecodeError:
        raise refuse(RULE, "the armour is not ASCII") from None
    return decoded(text, RULE)


def _signature(key: PublicKey, namespace: str, hash_algorithm: str, blob: bytes) -> SshSignature:
    wire = WireReader(blob, RULE)
    kind = wire.name()
    flags = counter = 0
    match kind:
        case "ssh-ed25519" if key.algorithm == "ed25519":
            scheme, raw = Scheme.ED25519, wire.string()
        case "sk-ssh-ed25519@openssh.com" if key.algorithm == "sk-ssh-ed25519":
            scheme, raw = Scheme.ED25519, wire.string()
            flags, counter = wire.byte(), wire.uint32()
        case "sk-ecdsa-sha2-nistp256@openssh.com" if key.algorithm == "sk-ecdsa-p256":
            scheme, raw = Scheme.ECDSA, _der(wire.string())
            flags, counter = wire.byte(), wire.uint32()
        case _ if _ECDSA.get(kind) == key.algorithm:
            scheme, raw = Scheme.ECDSA, _der(wire.string())
        # PROTOCOL.sshsig: RSA "MUST use either rsa-sha2-256 or rsa-sha2-512".
        case _ if kind in _RSA and key.algorithm.startswith("rsa-"):
            scheme, raw = _RSA[kind], wire.string()
        case _:
            raise refuse(RULE, f"a {key.algorithm} key makes no {escaped(kind)} signature")
    wire.end()
    return SshSignature(key, namespace, hash_algorithm, scheme, raw, flags, counter)


def _der(blob: bytes) -> bytes:
    """Return an SSH ECDSA signature (RFC 5656 3.1.2: mpint r, mpint s) as DER."""
    wire = WireReader(blob, RULE)
    der = encode_dss_signature(wire.mpint(), wire.mpint())
    wire.end()
    return der
