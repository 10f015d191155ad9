"""Valid small images made from nothing, and the text vectors that break one thing in them.

A vector is a text file named by its defect: `base:` is the image that is broken, `expect:`
the rule and, where it is not refuse, the severity, or `accepted` where no rule refuses;
every other line is one change. Offsets and values are sums of numbers and places: lfanew,
coff, optional, certdir, sections, table, end, and a section's name for its row in the
section table.
"""

from __future__ import annotations

import codecs
import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

LFANEW = 0x80
FILE_ALIGNMENT, SECTION_ALIGNMENT = 512, 4096
CODE, DATA = 0x60000020, 0x40000040  # code, execute, read; initialised data, read
RELEASE = "6.1.0-test-amd64"
MOMENT = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
ACCEPTED = "accepted"
VECTORS = Path(__file__).parents[1] / "vectors" / "pe"
MACHINES = {"x86_64": 0x8664, "aarch64": 0xAA64, "i386": 0x014C, "arm": 0x01C2}
RETURN = {  # return EFI_SUCCESS
    "x86_64": b"\x31\xc0\xc3",
    "i386": b"\x31\xc0\xc3",
    "aarch64": b"\x00\x00\x80\xd2\xc0\x03\x5f\xd6",
    "arm": b"\x00\x20\x70\x47",
}


def up(value: int, alignment: int) -> int:
    return value + -value % alignment


class Image(bytes):
    """Bytes that a failing test tells the length of, not 8 KiB of content."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<image of {len(self)} bytes>"


@dataclass(frozen=True)
class Part:
    """One section to be written: its content is padded in the file, not in memory."""

    name: str
    content: bytes
    rights: int = DATA


def pe_image(
    parts: tuple[Part, ...],
    machine: str = "x86_64",
    overlay: bytes = b"",
    lfanew: int = LFANEW,
    directories: int = 16,
) -> bytes:
    """Write a PE image of contiguous padded sections; the first one holds the entry point."""
    headers = 1024
    plus = machine in ("x86_64", "aarch64")
    rows, body = [], b""
    address, at = up(headers, SECTION_ALIGNMENT), headers
    for part in parts:
        raw = part.content + bytes(-len(part.content) % FILE_ALIGNMENT)
        rows.append(
            struct.pack(
                "<8sIIII12xI",
                part.name.encode("latin-1"),
                len(part.content),
                address,
                len(raw),
                at if raw else 0,
                part.rights,
            )
        )
        body += raw
        at += len(raw)
        address = up(address + max(len(part.content), 1), SECTION_ALIGNMENT)
    entry = up(headers, SECTION_ALIGNMENT)
    optional = struct.pack("<HBBIIIII", 0x20B if plus else 0x10B, 2, 40, 512, 512, 0, entry, entry)
    optional += struct.pack("<Q", 0) if plus else struct.pack("<II", 0, 0)
    optional += struct.pack("<II6HI", SECTION_ALIGNMENT, FILE_ALIGNMENT, *[0] * 6, 0)
    optional += struct.pack("<IIIHH", address, headers, 0, 10, 0x100)
    optional += struct.pack("<4Q" if plus else "<4I", *[0] * 4) + struct.pack("<II", 0, directories)
    optional += bytes(directories * 8)
    coff = struct.pack(
        "<4sHHIIIHH", b"PE", MACHINES[machine], len(parts), 0, 0, 0, len(optional), 0x0206
    )
    dos = b"MZ" + bytes(0x3A) + struct.pack("<I", lfanew) + bytes(lfanew - 64)
    return (dos + coff + optional + b"".join(rows)).ljust(headers, b"\0") + body + overlay


def kernel(machine: str = "x86_64", release: str = RELEASE) -> bytes:
    """Write a PE image that tells a kernel release as Linux does on this machine."""
    banner = f"Linux version {release} (test)".encode()
    image = bytearray(pe_image((Part(".text", RETURN[machine] + banner, CODE),), machine))
    if machine in ("x86_64", "i386"):
        image[0x202:0x206] = b"HdrS"
        image[0x20E:0x210] = struct.pack("<H", 0x180)
        image[0x380 : 0x380 + len(release) + 8] = release.encode() + b" (test)\0"
    return bytes(image)


OSREL = b"ID=test\nNAME=\"Test OS\"\nPRETTY_NAME='Test OS 1'\n# comment\n\nVERSION_ID=1\n"
SBAT = (
    b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
    b"test-uki,1,Test,test-uki,1,https://example.org/\n"
)


def uki_parts(
    machine: str = "x86_64", initrd: bytes = b"\x1f\x8b" + bytes(1000)
) -> tuple[Part, ...]:
    """Return the parts of a small UKI, the stub's own sections first."""
    return (
        Part(".text", RETURN[machine], CODE),
        Part(".sdmagic", b"#### LoaderInfo: systemd-stub 252-test ####\0"),
        Part(".osrel", OSREL),
        Part(".uname", RELEASE.encode()),
        Part(".sbat", SBAT),
        Part(".cmdline", b"console=ttyS0 quiet"),
        Part(".initrd", initrd),
        Part(".linux", kernel(machine)),
    )


def uki(machine: str = "x86_64", initrd: bytes = b"\x1f\x8b" + bytes(1000)) -> bytes:
    """Write a small valid UKI."""
    return pe_image(uki_parts(machine, initrd), machine)


PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Signer:
    """A throw-away key and its certificate."""

    key: PrivateKey
    certificate: bytes

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write key and certificate as PEM, the forms that sbsign reads."""
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        key.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        certificate.write_text(pem(self.certificate))
        return key, certificate


def pem(der: bytes) -> str:
    loaded = x509.load_der_x509_certificate(der)
    return loaded.public_bytes(serialization.Encoding.PEM).decode()


def signer(
    name: str = "test signer",
    bits: int = 2048,
    curve: ec.EllipticCurve | None = None,
    padding_bytes: int = 0,
) -> Signer:
    """Make a key and a self-signed certificate, made longer by a private extension."""
    key: PrivateKey = (
        ec.generate_private_key(curve)
        if curve is not None
        else rsa.generate_private_key(public_exponent=65537, key_size=bits)
    )
    builder = builder_for(name).public_key(key.public_key())
    if padding_bytes:
        filler = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(padding_bytes)
        )
        builder = builder.add_extension(filler, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return Signer(key, certificate.public_bytes(serialization.Encoding.DER))


def ed25519_certificate() -> bytes:
    """Make a certificate of a key that no firmware takes."""
    key = ed25519.Ed25519PrivateKey.generate()
    certificate = builder_for("ed25519").public_key(key.public_key()).sign(key, None)
    return certificate.public_bytes(serialization.Encoding.DER)


def builder_for(name: str) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .serial_number(0x2026_1122_0304)
        .not_valid_before(MOMENT - timedelta(days=900))
        .not_valid_after(MOMENT + timedelta(days=9000))
    )


@dataclass
class Broken:
    """An image that vectors change in place."""

    image: bytearray
    places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (lfanew,) = struct.unpack_from("<I", self.image, 0x3C)
        coff, optional = lfanew + 4, lfanew + 24
        count, optional_size = struct.unpack_from("<H12xH", self.image, coff + 2)
        (magic,) = struct.unpack_from("<H", self.image, optional)
        certdir = optional + (144 if magic == 0x20B else 128)
        sections = optional + optional_size
        self.places = {
            "lfanew": lfanew,
            "coff": coff,
            "optional": optional,
            "certdir": certdir,
            "sections": sections,
            "table": struct.unpack_from("<I", self.image, certdir)[0],
            "end": len(self.image),
        }
        for row in range(sections, sections + 40 * count, 40):
            name = bytes(self.image[row : row + 8]).rstrip(b"\0").decode("latin-1")
            self.places.setdefault(name, row)

    def value(self, text: str) -> int:
        terms = re.findall(r"([+-]?)([^+-]+)", text)
        return sum(
            (-1 if sign == "-" else 1) * self.places[term]
            if term in self.places
            else (-1 if sign == "-" else 1) * int(term, 0)
            for sign, term in terms
        )

    def change(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        if verb in ("u8", "u16", "u32"):
            where, value = rest.split()
            kind = {"u8": "<B", "u16": "<H", "u32": "<I"}[verb]
            struct.pack_into(kind, self.image, self.value(where), self.value(value))
        elif verb == "flip":
            self.image[self.value(rest)] ^= 0xFF
        elif verb == "bytes":
            where, _, text = rest.partition(" ")
            octets = unescaped(text)
            at = self.value(where)
            self.image[at : at + len(octets)] = octets
        elif verb == "content":
            name, _, text = rest.partition(" ")
            self.fill(self.places[name], unescaped(text))
        elif verb == "append":
            text, _, times = rest.partition(" x ")
            self.image += unescaped(text) * int(times or "1", 0)
        elif verb == "insert":
            where, _, text = rest.partition(" ")
            at = self.value(where)
            self.image[at:at] = unescaped(text)
        elif verb == "keep":
            del self.image[self.value(rest) :]
        elif verb == "swap":
            a, b = (self.places[name] for name in rest.split())
            one, other = self.image[a : a + 40], self.image[b : b + 40]
            self.image[a : a + 40], self.image[b : b + 40] = other, one
        else:
            raise AssertionError(f"no such change: {line}")

    def fill(self, row: int, content: bytes) -> None:
        """Replace a section's content; it must fit the bytes that it has in the file."""
        size, at = struct.unpack_from("<II", self.image, row + 16)
        assert len(content) <= size
        self.image[at : at + size] = content.ljust(size, b"\0")
        struct.pack_into("<I", self.image, row + 8, len(content))


def unescaped(text: str) -> bytes:
    return codecs.decode(text, "unicode_escape").encode("latin-1")


@dataclass(frozen=True)
class Vector:
    """One text vector, read; `rule` is ACCEPTED where none refuses."""

    name: str
    base: str
    rule: str
    severity: str
    changes: tuple[str, ...]

    def apply(self, base: bytes) -> bytes:
        broken = Broken(bytearray(base))
        for line in self.changes:
            broken.change(line)
        return bytes(broken.image)


def read_vector(path: Path) -> Vector:
    lines = [line for line in path.read_text("ascii").splitlines() if line and line[0] != "#"]
    base = lines[0].removeprefix("base: ")
    rule, _, severity = lines[1].removeprefix("expect: ").partition(" ")
    return Vector(path.stem, base, rule, severity or "refuse", tuple(lines[2:]))


def all_vectors() -> list[Vector]:
    return [read_vector(path) for path in sorted(VECTORS.glob("*.txt"))]
