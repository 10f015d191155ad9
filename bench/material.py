"""What is signed in the benchmark, and with which key: made here, thrown away afterwards.

Decides the form of an image of any size: all sections of a UKI, the initial ramdisk last and
filled with random bytes. It refuses to know who signs it.
"""

from __future__ import annotations

import os
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from peers import NICKNAME, Identity

from tui.rehearsal.efi_program import efi_program
from tui.rehearsal.uki import build_uki

CHUNK = 1 << 24
PAGE, ALIGNMENT = 4096, 512
SECTION_ROW = struct.Struct("<8s2I")  # name, VirtualSize, VirtualAddress
SBAT = b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"


def make_identity(folder: Path) -> Identity:
    """Make an RSA-2048 key and a certificate, in the forms that all peers read."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NICKNAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Identity(folder / "key.pem", folder / "certificate.pem", folder / "key.p12")
    plain = serialization.NoEncryption()
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.bundle.write_bytes(
        pkcs12.serialize_key_and_certificates(NICKNAME.encode(), key, certificate, None, plain)
    )
    return made


def make_image(path: Path, megabytes: int) -> None:
    """Write a UKI of so many million bytes, to the next multiple of 512, chunk by chunk."""
    program = efi_program("x86_64")
    sections = [
        (".osrel", b"ID=bench\n"),
        (".cmdline", b"quiet"),
        (".uname", b"0-bench"),
        (".sbat", SBAT),
        (".linux", program),
        (".initrd", b"\x1f\x8b".ljust(ALIGNMENT, b"\0")),
    ]
    image = bytearray(build_uki(program, sections))
    more = _up(megabytes * 1_000_000, ALIGNMENT) - len(image)
    _grow_last_section(image, more)
    with path.open("wb") as file:
        file.write(image)
        while more > 0:
            file.write(os.urandom(min(CHUNK, more)))
            more -= CHUNK


def _grow_last_section(image: bytearray, more: int) -> None:
    # PE/COFF 3.3, 3.4 and 4: NumberOfSections, SizeOfOptionalHeader, SizeOfImage, a section's
    # VirtualSize and SizeOfRawData.
    (coff,) = struct.unpack_from("<I", image, 0x3C)
    sections, optional_size = struct.unpack_from("<6xH12xH", image, coff)
    optional = coff + 24
    last = optional + optional_size + 40 * (sections - 1)
    _, size, address = SECTION_ROW.unpack_from(image, last)
    struct.pack_into("<I", image, last + 8, size + more)
    struct.pack_into("<I", image, last + 16, size + more)
    struct.pack_into("<I", image, optional + 56, _up(address + size + more, PAGE))


def _up(value: int, alignment: int) -> int:
    return value + -value % alignment
