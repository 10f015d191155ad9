"""Who signs: throw-away keys, and the certificates that db and dbx name or do not name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pe.images import Signer, signer

LONG = (2020, 2049)  # first and last year of a certificate


def issued(
    name: str,
    issuer: Signer | None = None,
    years: tuple[int, int] = LONG,
    usage: x509.ObjectIdentifier | None = None,
    *,
    authority: bool = False,
) -> Signer:
    """Make an RSA-2048 key and its certificate, signed by the issuer or by itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by = x509.load_der_x509_certificate(issuer.certificate).subject if issuer else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(years[0], 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(years[1], 12, 31, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    signing = issuer.key if issuer else key
    certificate = builder.sign(signing, hashes.SHA256())
    return Signer(key, certificate.public_bytes(serialization.Encoding.DER))


@dataclass(frozen=True)
class People:
    """Everyone who signs, by name, and the names that stand in the databases."""

    signers: dict[str, Signer]
    db: tuple[str, ...]
    dbx: tuple[str, ...]
    dbx_by_hash: tuple[str, ...]

    def __getitem__(self, name: str) -> Signer:
        return self.signers[name]

    def certificates(self, names: tuple[str, ...]) -> tuple[bytes, ...]:
        return tuple(self.signers[name].certificate for name in names)


def make_people() -> People:
    """Make all keys and certificates anew."""
    root, barred_root = issued("root", authority=True), issued("barred root", authority=True)
    middle = issued("middle", root, authority=True)
    signers = {
        "ours": signer("ours"),
        "3072": signer("3072", bits=3072),
        "4096": signer("4096", bits=4096),
        "p256": signer("p256", curve=ec.SECP256R1()),
        "p384": signer("p384", curve=ec.SECP384R1()),
        "expired": issued("expired", years=(2001, 2002)),
        "server": issued("server", usage=ExtendedKeyUsageOID.SERVER_AUTH),
        "root": root,
        "leaf": issued("leaf", root),
        "middle": middle,
        "below": issued("below", middle),
        "revoked": signer("revoked"),
        "by hash": signer("by hash"),
        "barred root": barred_root,
        "barred leaf": issued("barred leaf", barred_root),
        "foreign": signer("foreign"),
    }
    unlisted = ("leaf", "middle", "below", "barred leaf", "foreign")
    return People(
        signers,
        db=tuple(name for name in signers if name not in unlisted),
        dbx=("revoked", "barred root"),
        dbx_by_hash=("by hash",),
    )
