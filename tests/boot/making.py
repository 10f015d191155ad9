"""How an image of the table comes about: made, signed by this project, changed."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from boot.people import People
from boot.program import cut_program, program, uki_program
from cryptography.hazmat.primitives.asymmetric import ec
from pe.images import LFANEW, MOMENT

from ceremony.pe.sign import assemble, plan, plan_ecdsa
from ceremony.pe.sweep import sweep
from ceremony.types import Digest

Place = Callable[[bytes], int]


@dataclass(frozen=True)
class Making:
    """What an image is made of: the machine, the line that it prints, who may sign it."""

    architecture: str
    line: str
    people: People
    scratch: Path

    @property
    def program(self) -> bytes:
        return program(self.architecture, self.line)

    @property
    def uki(self) -> bytes:
        return uki_program(self.architecture, self.line)

    @property
    def odd(self) -> bytes:
        return cut_program(self.architecture, self.line)

    def overlay(self, size: int) -> bytes:
        return program(self.architecture, self.line, b"o" * size)

    def signed(self, image: bytes, *names: str, chain: tuple[str, ...] = ()) -> bytes:
        """Sign with each name's key in turn, by this project's plan and assemble."""
        for name in names:
            by = self.people[name]
            planned = (plan_ecdsa if isinstance(by.key, ec.EllipticCurvePrivateKey) else plan)(
                image, by.certificate, self.people.certificates(chain), MOMENT
            )
            made = assemble(image, planned, by.sign(planned.attributes))
            image = b"".join(made.pieces())
        return image

    def sbsigned(self, image: bytes, name: str) -> bytes:
        """Sign by the real sbsign."""
        key, certificate = self.people[name].write(self.scratch, "control")
        source, output = self.scratch / "control.efi", self.scratch / "control.signed.efi"
        source.write_bytes(image)
        command: list[str | Path] = [
            "sbsign",
            "--key",
            key,
            "--cert",
            certificate,
            "--output",
            output,
            source,
        ]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return output.read_bytes()


def flipped(image: bytes, place: Place) -> bytes:
    """Return the image with the lowest bit of one byte changed."""
    at = place(image)
    assert 0 < at < len(image)
    return image[:at] + bytes([image[at] ^ 1]) + image[at + 1 :]


def time_date_stamp(image: bytes) -> int:
    return LFANEW + 8


def check_sum(image: bytes) -> int:
    return LFANEW + 88


def command_line(image: bytes) -> int:
    return image.index(b"console=ttyS0")


def overlay(image: bytes) -> int:
    return image.index(b"oooooooo")


def signature_value(image: bytes) -> int:
    """Return the offset of the signature's last byte, the last of the first PKCS#7."""
    (table,) = struct.unpack_from("<I", image, LFANEW + 168)
    (length,) = struct.unpack_from("<I", image, table)
    return int(table + length - 1)


def padded(image: bytes) -> bytes:
    return image + bytes(-len(image) % 8)


def our_digest(image: bytes) -> Digest:
    """Return the Authenticode digest that this project computes."""
    return sweep(image).authenticode
