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
from dataclasses import dataclass

from ceremony.attest import contents
from ceremony.attest.ssh_certificate import (
    VERIFY_REQUIRED,
    SshCertificate,
    is_certificate,
    read_certificate,
)
from ceremony.attest.ssh_signature import (
    VERIFIED,
    KeySignature,
    read_signature,
    touched,
    verify_signature,
)
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
HASHES = ("sha256", "sha512")


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A parsed signature: the raw value in the form `key.verify` takes, and what it says.

    `flags` and `counter` are the security key's, 0 for other keys. With a `certificate`
    the key is the one that it certifies.
    """

    public_key: PublicKey
    namespace: str
    hash_algorithm: str
    scheme: Scheme
    signature: bytes
    flags: int = 0
    counter: int = 0
    certificate: SshCertificate | None = None

    @property
    def touched(self) -> bool:
        """True when each security key that signed, the authority's too, says it was touched."""
        certified = self.certificate is None or self.certificate.touched
        return certified and touched(self.public_key, self.flags)


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
    """Read an armoured signature by a plain key; Refused (ATT-) says what is wrong."""
    signature = read_certifiable(data)
    if signature.certificate is not None:
        raise refuse("ATT-CERTIFICATE", "it is signed by a certificate; here only plain keys sign")
    return signature


def read_certifiable(data: bytes) -> SshSignature:
    """Read an armoured signature by a plain key or a certificate; Refused (ATT-) says why not.

    A certificate is whole and signed by its authority; whether that one counts is open.
    """
    wire = WireReader(_dearmored(data), RULE)
    if wire.take(len(MAGIC)) != MAGIC:
        raise refuse(RULE, "the blob does not begin with SSHSIG")
    # PROTOCOL.sshsig: "Verifiers MUST reject signatures with versions greater than those
    # they support."
    if (version := wire.uint32()) != VERSION:
        raise refuse(RULE, f"SSHSIG version {version} is not known here")
    blob = wire.string()
    certificate = read_certificate(blob) if is_certificate(blob) else None
    key = certificate.public_key if certificate else parse_ssh_blob(blob)
    namespace = wire.name()
    # "The namespace value MUST NOT be the empty string."
    if not namespace:
        raise refuse(RULE, "the namespace is empty")
    # "Implementations should ignore the reserved field if it is not empty."
    wire.string()
    hash_algorithm = wire.name()
    if hash_algorithm not in HASHES:
        raise refuse(RULE, f"the hash {escaped(hash_algorithm)} is neither sha256 nor sha512")
    made = read_signature(key, wire.string(), RULE)
    wire.end()
    return SshSignature(
        public_key=key,
        namespace=namespace,
        hash_algorithm=hash_algorithm,
        scheme=made.scheme,
        signature=made.value,
        flags=made.flags,
        counter=made.counter,
        certificate=certificate,
    )


def verify_sshsig(signature: SshSignature, message: bytes, namespace: str) -> PublicKey:
    """Return the key that signed `message` in `namespace`, or Refused (ATT-)."""
    if signature.namespace != namespace:
        raise refuse(
            "ATT-NAMESPACE",
            f"signed for the namespace {escaped(signature.namespace)}, not {escaped(namespace)}",
        )
    key = signature.public_key
    made = KeySignature(signature.scheme, signature.signature, signature.flags, signature.counter)
    verify_signature(key, made, signed_data(namespace, message, signature.hash_algorithm))
    certificate = signature.certificate
    verified = key.is_security_key and signature.flags & VERIFIED
    # PROTOCOL.certkeys: "signatures made with this certificate must assert FIDO user
    # verification (e.g. PIN or biometric)".
    if certificate and VERIFY_REQUIRED in certificate.options and not verified:
        text = f"the certificate says {VERIFY_REQUIRED}, and the signer gave no PIN or finger"
        raise refuse("ATT-CERTIFICATE", text)
    return key


def _dearmored(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the signature has more than {MOST_BYTES} bytes")
    lines = data.split(b"\n")
    if lines[0] != BEGIN or lines[-1] or END not in lines[-2:-1]:
        raise refuse(RULE, "the armour does not begin and end as SSHSIG does")
    body = lines[1:-2]
    if body and not 0 < len(min(body, key=len)) <= len(max(body, key=len)) <= MOST_COLUMNS:
        raise refuse(RULE, f"an armour line is empty or longer than {MOST_COLUMNS} columns")
    try:
        text = b"".join(body).decode("ascii")
    except UnicodeDecodeError:
        raise refuse(RULE, "the armour is not ASCII") from None
    return decoded(text, RULE)
