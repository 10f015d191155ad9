"""A small Sigstore in memory: authority, certificate log, Rekor log, and bundles they make.

Nothing of it is trusted by anyone: the real verifier is given its trusted root. So every kind
of spoiled or foreign bundle can be had without a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from ceremony.attest.dsse import IN_TOTO, pae

ISSUER = "https://token.actions.githubusercontent.com"
REPOSITORY = "https://github.com/acme/anchor"
IDENTITY = f"{REPOSITORY}/.github/workflows/release.yml@refs/heads/main"
COMMIT = "c0ffee" * 6 + "beef"
MADE = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
V03 = "application/vnd.dev.sigstore.bundle.v0.3+json"
SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
FULCIO = "1.3.6.1.4.1.57264.1."


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def spki(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def sign(private: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return private.sign(data, ec.ECDSA(hashes.SHA256()))


def utf8_string(text: str) -> bytes:
    data = text.encode()
    return b"\x0c" + (bytes([len(data)]) if len(data) < 128 else bytes([0x81, len(data)])) + data


def usage(*, authority: bool) -> x509.KeyUsage:
    rest = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, **rest)


@dataclass(frozen=True)
class Named:
    """What a certificate says."""

    identity: str = IDENTITY
    issuer: str = ISSUER
    commit: str = COMMIT
    life: timedelta = timedelta(minutes=10)


NAMED = Named()


@dataclass
class Instance:
    """One instance with its keys."""

    authority: ec.EllipticCurvePrivateKey = field(default_factory=key)
    ct_log: ec.EllipticCurvePrivateKey = field(default_factory=key)
    rekor: ec.EllipticCurvePrivateKey = field(default_factory=key)

    @property
    def root_certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        public = self.authority.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public)
            .serial_number(1)
            .not_valid_before(MADE - timedelta(days=1000))
            .not_valid_after(MADE + timedelta(days=3000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def trusted_root(self, **changes: dict[str, str]) -> bytes:
        """Return trusted_root.json; `changes` set the validFor of a part."""
        valid = {"start": "2024-01-01T00:00:00.000Z"}

        def log(private: ec.EllipticCurvePrivateKey, part: str) -> list[object]:
            public = {
                "rawBytes": b64(spki(private)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": changes.get(part, valid),
            }
            named = {"keyId": b64(hashlib.sha256(spki(private)).digest())}
            at = {"baseUrl": "https://log.invalid", "hashAlgorithm": "SHA2_256"}
            return [{**at, "publicKey": public, "logId": named}]

        certificate = self.root_certificate.public_bytes(serialization.Encoding.DER)
        authority = {
            "subject": {"organization": "test", "commonName": "authority"},
            "uri": "https://authority.invalid",
            "certChain": {"certificates": [{"rawBytes": b64(certificate)}]},
            "validFor": changes.get("certificateAuthorities", valid),
        }
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": log(self.rekor, "tlogs"),
                "certificateAuthorities": [authority],
                "ctlogs": log(self.ct_log, "ctlogs"),
                "timestampAuthorities": [],
            }
        ).encode()

    def certificate(self, public: ec.EllipticCurvePublicKey, who: Named) -> x509.Certificate:
        """Return a certificate with the timestamp of the certificate log in it."""
        root = self.root_certificate
        names = [x509.UniformResourceIdentifier(who.identity)]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(root.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(MADE)
            .not_valid_after(MADE + who.life)
            .add_extension(usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(extension("1", who.issuer.encode()), critical=False)
            .add_extension(extension("8", utf8_string(who.issuer)), critical=False)
        )
        if who.commit:
            builder = builder.add_extension(
                extension("13", utf8_string(who.commit)), critical=False
            )
        before = builder.sign(self.authority, hashes.SHA256())
        body = self._timestamp(before)
        stamped = x509.UnrecognizedExtension(SCT_LIST, body)
        return builder.add_extension(stamped, critical=False).sign(self.authority, hashes.SHA256())

    def _timestamp(self, before: x509.Certificate) -> bytes:
        """RFC 6962 3.2, 3.3: a list of one SCT over the certificate without the list."""
        tbs = before.tbs_certificate_bytes
        when = int(MADE.timestamp() * 1000)
        entry = hashlib.sha256(spki(self.authority)).digest() + struct.pack("!I", len(tbs))[1:]
        signed = struct.pack("!BBQH", 0, 0, when, 1) + entry + tbs + b"\0\0"
        signature = sign(self.ct_log, signed)
        log = hashlib.sha256(spki(self.ct_log)).digest()
        sct = b"\0" + log + struct.pack("!QHBBH", when, 0, 4, 3, len(signature)) + signature
        listed = struct.pack("!HH", len(sct) + 2, len(sct)) + sct
        return b"\x04" + bytes([len(listed)] if len(listed) < 128 else [0x81, len(listed)]) + listed

    def attest(self, payload: bytes, who: Named = NAMED, kind: str = IN_TOTO) -> dict[str, Any]:
        """Return a bundle with a DSSE envelope."""
        private = key()
        certificate = self.certificate(private.public_key(), who)
        signature = sign(private, pae(kind, payload))
        envelope = {
            "payload": b64(payload),
            "payloadType": kind,
            "signatures": [{"sig": b64(signature)}],
        }
        spec = {
            "envelopeHash": digest(json.dumps(envelope).encode()),
            "payloadHash": digest(payload),
            "signatures": [{"signature": b64(signature), "verifier": b64(pem(certificate))}],
        }
        return self._bundle("dsse", spec, certificate) | {"dsseEnvelope": envelope}

    def sign_file(self, content: bytes, who: Named = NAMED) -> dict[str, Any]:
        """Return a bundle over a file, as cosign sign-blob makes one."""
        private = key()
        certificate = self.certificate(private.public_key(), who)
        signature = sign(private, content)
        spec = {
            "data": {"hash": digest(content)},
            "signature": {
                "content": b64(signature),
                "publicKey": {"content": b64(pem(certificate))},
            },
        }
        message = {
            "messageDigest": {
                "algorithm": "SHA2_256",
                "digest": b64(hashlib.sha256(content).digest()),
            },
            "signature": b64(signature),
        }
        return self._bundle("hashedrekord", spec, certificate) | {"messageSignature": message}

    def _bundle(
        self, kind: str, spec: dict[str, Any], certificate: x509.Certificate
    ) -> dict[str, Any]:
        body = json.dumps({"apiVersion": "0.0.1", "kind": kind, "spec": spec}).encode()
        log = hashlib.sha256(spki(self.rekor)).digest()
        when = int(certificate.not_valid_before_utc.timestamp()) + 60
        promise = rfc8785.dumps(
            {"body": b64(body), "integratedTime": when, "logID": log.hex(), "logIndex": 0}
        )
        leaf = hashlib.sha256(b"\0" + body).digest()
        note = f"log.invalid\n1\n{b64(leaf)}\n"
        noted = b64(log[:4] + sign(self.rekor, note.encode()))
        entry = {
            "logIndex": "0",
            "logId": {"keyId": b64(log)},
            "kindVersion": {"kind": kind, "version": "0.0.1"},
            "integratedTime": str(when),
            "inclusionPromise": {"signedEntryTimestamp": b64(sign(self.rekor, promise))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": b64(leaf),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 log.invalid {noted}\n"},
            },
            "canonicalizedBody": b64(body),
        }
        der = certificate.public_bytes(serialization.Encoding.DER)
        material = {"certificate": {"rawBytes": b64(der)}, "tlogEntries": [entry]}
        return {"mediaType": V03, "verificationMaterial": material}


def extension(number: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(ObjectIdentifier(FULCIO + number), value)


def digest(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
