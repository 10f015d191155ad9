"""EFI signature lists: the bytes of db and dbx, as firmware and `sbverify --dbx` read them.

UEFI 2.10, 32.4.1: EFI_SIGNATURE_LIST is a type, the list's size, the size of a header (none
here) and of each entry; an entry is its owner and its data.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509

from ceremony.types import Digest, DigestKind

OWNER = uuid.UUID("7c1a5e0e-3f0b-4c53-9d4e-8f6f2f0d6c11")  # of these tests, drawn at random
CERT_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
CERT_SHA256 = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328")
CERT_X509_SHA256 = uuid.UUID("3bd2a492-96c0-4079-b420-fcf98ef103ed")
ALWAYS = bytes(16)  # EFI_TIME of zeros: revoked whatever the time of the signature


@dataclass(frozen=True)
class Listed:
    """What a database holds: certificates (DER), image digests, certificates by their hash."""

    certificates: tuple[bytes, ...] = ()
    digests: tuple[Digest, ...] = ()
    by_hash: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Return the database's bytes, empty where it holds nothing."""
        return signature_list(self.certificates, self.digests, self.by_hash)


def signature_list(
    certificates: Iterable[bytes] = (),
    digests: Iterable[Digest] = (),
    by_hash: Iterable[bytes] = (),
) -> bytes:
    """Return signature lists of `certificates` (DER), image digests, and certificates by hash.

    Each certificate has a list of its own, as their sizes differ; a certificate in `by_hash`
    (DER) is named by the SHA-256 of its TBSCertificate, which only a dbx may do.
    """
    images = list(digests)
    assert all(digest.kind is DigestKind.AUTHENTICODE_SHA256 for digest in images)
    lists = [_list(CERT_X509, [der]) for der in certificates]
    lists.append(_list(CERT_SHA256, [digest.value for digest in images]))
    lists.append(_list(CERT_X509_SHA256, [tbs_sha256(der) + ALWAYS for der in by_hash]))
    return b"".join(lists)


def tbs_sha256(certificate: bytes) -> bytes:
    """Return the SHA-256 of a certificate's to-be-signed part."""
    return sha256(x509.load_der_x509_certificate(certificate).tbs_certificate_bytes).digest()


def _list(kind: uuid.UUID, entries: list[bytes]) -> bytes:
    if not entries:
        return b""
    (size,) = {16 + len(entry) for entry in entries}
    head = kind.bytes_le + struct.pack("<3I", 28 + size * len(entries), 0, size)
    return head + b"".join(OWNER.bytes_le + entry for entry in entries)
