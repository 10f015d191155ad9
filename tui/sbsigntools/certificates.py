"""Certificates as these commands are given them: PEM or DER, one or a bundle.

A certificate file may be a pipe (`--cert <(cat a b)`): it is read once and is no secret.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path

from ceremony.errors import MediaTrouble, refuse
from ceremony.pe.certificate import read_certificate
from ceremony.show import counted, escaped
from tui.given import read_head

MOST_BUNDLE = 1 << 20  # bytes
MOST_CERTIFICATES = 64
MOST_LABEL = 64
# RFC 7468, 3: lax about what stands between the blocks, as every PEM reader is.
LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
BEGIN, END = b"-----BEGIN ", b"-----END "
DER_STARTS = (b"\x30\x81", b"\x30\x82", b"\x30\x83")  # a certificate is longer than 127 bytes


def read_small(path: Path, most: int) -> bytes:
    """Return what a file or pipe holds; MED-SIZE over `most` bytes, MED-PATH."""
    try:
        data = read_head(path, most + 1)
    except OSError as error:
        raise MediaTrouble("MED-PATH", f"{escaped(str(path))}: {error.strerror or error}") from None
    if len(data) > most:
        raise refuse("MED-SIZE", f"{escaped(str(path))} has more than {counted(most)}")
    return data


def read_certificates(path: Path) -> tuple[bytes, ...]:
    """Return every certificate of a file in order, as DER; Refused SIG-CERTIFICATE, MED-SIZE."""
    data = read_small(path, MOST_BUNDLE)
    shown = escaped(str(path))
    if data.startswith(DER_STARTS):
        blocks: tuple[bytes, ...] = (data,)
    else:
        blocks = tuple(_decoded(block, shown) for block in _blocks(data, shown))
    if not blocks:
        raise refuse("SIG-CERTIFICATE", f"{shown} holds no certificate, neither PEM nor DER")
    if len(blocks) > MOST_CERTIFICATES:
        text = f"{shown} holds {len(blocks)} certificates, more than {MOST_CERTIFICATES}"
        raise refuse("SIG-CERTIFICATE", text)
    for der in blocks:
        read_certificate(der)
    return blocks


def _blocks(data: bytes, shown: str) -> Iterator[bytes]:
    """Yield what stands inside each certificate's block; other blocks are passed over."""
    at = data.find(BEGIN)
    while at >= 0:
        start = at + len(BEGIN)
        label, dashes, rest = data[start : start + MOST_LABEL].partition(b"-----")
        end = data.find(END + label + b"-----", start)
        if not dashes or not rest or end < 0:
            raise refuse("SIG-CERTIFICATE", f"a PEM block in {shown} has no right beginning or end")
        if label in LABELS:
            yield data[start + len(label) + len(dashes) : end]
        at = data.find(BEGIN, end)


def _decoded(block: bytes, shown: str) -> bytes:
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except binascii.Error:
        raise refuse("SIG-CERTIFICATE", f"a certificate in {shown} is not base64") from None
