"""Certificates as these commands are given them: PEM or DER, one or a bundle.

A certificate file may be a pipe (`--cert <(cat a b)`): it is read once and is no secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

from ceremony.errors import MediaTrouble, refuse
from ceremony.pe.certificate import read_certificate
from ceremony.show import counted, escaped

MOST_BUNDLE = 1 << 20  # bytes
MOST_CERTIFICATES = 64
SEQUENCE = 0x30
# RFC 7468, 3: lax about what stands between the blocks, as every PEM reader is.
BLOCK = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----\s*([A-Za-z0-9+/=\s]*?)"
    rb"-----END (?:X509 |TRUSTED )?CERTIFICATE-----"
)


def read_small(path: Path, most: int) -> bytes:
    """Return what a file or pipe holds; MED-SIZE over `most` bytes, MED-GONE."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise MediaTrouble("MED-GONE", f"{escaped(str(path))}: {error.strerror or error}") from None
    if len(data) > most:
        raise refuse("MED-SIZE", f"{escaped(str(path))} has more than {counted(most)}")
    return data


def read_certificates(path: Path) -> tuple[bytes, ...]:
    """Return every certificate of a file in order, as DER; Refused SIG-CERTIFICATE, MED-SIZE."""
    data = read_small(path, MOST_BUNDLE)
    shown = escaped(str(path))
    is_der = data[:1] == bytes((SEQUENCE,))
    blocks = (data,) if is_der else tuple(_decoded(each, shown) for each in BLOCK.findall(data))
    if not blocks:
        raise refuse("SIG-CERTIFICATE", f"{shown} holds no certificate, neither PEM nor DER")
    if len(blocks) > MOST_CERTIFICATES:
        text = f"{shown} holds {len(blocks)} certificates, more than {MOST_CERTIFICATES}"
        raise refuse("SIG-CERTIFICATE", text)
    for der in blocks:
        read_certificate(der)
    return blocks


def _decoded(block: bytes, shown: str) -> bytes:
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except binascii.Error:
        raise refuse("SIG-CERTIFICATE", f"a certificate in {shown} is not base64") from None
