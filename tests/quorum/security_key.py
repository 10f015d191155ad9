"""A FIDO security key in software: what PROTOCOL.u2f says that the token would sign."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ceremony.attest.ssh_wire import mpint, string, uint32
from ceremony.attest.sshsig import armor, signed_data


@dataclass(frozen=True)
class SecurityKey:
    private: Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    application: str = "ssh:"

    @classmethod
    def make(cls, kind: str = "ed25519") -> SecurityKey:
        if kind == "ed25519":
            return cls(Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def kind(self) -> str:
        if isinstance(self.private, Ed25519PrivateKey):
            return "sk-ssh-ed25519@openssh.com"
        return "sk-ecdsa-sha2-nistp256@openssh.com"

    @property
    def blob(self) -> bytes:
        public = self.private.public_key()
        if isinstance(self.private, Ed25519PrivateKey):
            fields = [
                public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            ]
        else:
            point = public.public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
            fields = [b"nistp256", point]
        fields = [self.kind.encode(), *fields, self.application.encode()]
        return b"".join(string(field) for field in fields)

    @property
    def line(self) -> str:
        return f"{self.kind} {base64.b64encode(self.blob).decode()} token"

    def sign(self, message: bytes, namespace: str = "uki-attestation", flags: int = 1) -> bytes:
        digest = hashlib.sha256(signed_data(namespace, message, "sha512")).digest()
        told = hashlib.sha256(self.application.encode()).digest()
        data = told + bytes([flags]) + uint32(7) + digest
        if isinstance(self.private, Ed25519PrivateKey):
            raw = self.private.sign(data)
        else:
            r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
            raw = mpint(r) + mpint(s)
        blob = string(self.kind.encode()) + string(raw) + bytes([flags]) + uint32(7)
        return armor(self.blob, namespace, blob, "sha512")
