"""One real token that lies on the table: how it is reached, its PIN, its keys, how it is pulled.

Decides nothing about tokens. What a token lacks and what it notices is written down by the
file that makes it, and the conformance tests hold it to that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tokens.piv_card import PivCard

from ceremony.pin_uses import UsePin
from ceremony.preflight import mechanism_for, read_certificate, signing_key, spki_sha256
from ceremony.token import SignRequest, sign_request
from ceremony.types import Mode
from hsm.binding import Binding, Limits
from hsm.token import Pkcs11Token
from tui.commands.dispatch import dispatch

PIN, WRONG_PIN = "246813", "135792"  # six digits: the one length that every token here takes
SO_PIN = "87654321"
LIMITS = Limits(start=20, probe=30, login=30, sign=30)


@dataclass
class Brought:
    """A token with an RSA and, where it can, an EC key; certificates are DER by kind.

    `locks` says whether wrong PINs lock it, `flags` what its module shows after one, two and
    three of them; `notices` whether the module sees that the token is gone.
    """

    name: str
    binding: Binding
    uri: str
    pull: Callable[[], None]
    insert: Callable[[], None]
    certificates: dict[str, bytes] = field(default_factory=dict)
    flags: tuple[str, str, str] = ("ok", "ok", "ok")
    locks: bool = False
    notices: bool = True
    card: PivCard | None = None

    def token(self) -> Pkcs11Token:
        return Pkcs11Token(self.binding, self.uri)

    def typed(self, pin: str = PIN) -> bytearray:
        return bytearray(pin.encode())

    def again(self, *pins: str) -> UsePin:
        """Return people who type these PINs, one for each use; the right one where none is said."""
        left = iter(pins or (PIN,) * 8)
        return lambda _: self.typed(next(left))

    def request(self, kind: str = "rsa", digest: str = "ab" * 32) -> SignRequest:
        key = signing_key(read_certificate(self.certificates[kind]))
        return sign_request(Mode.REHEARSAL, 1, spki_sha256(key), mechanism_for(key), digest)

    def machine(self, folder: Path) -> Path:
        """Write the machine binding as a file and return its path."""
        path = folder / "machine.toml"
        path.write_text(machine_text(self.binding), "utf-8")
        return path


def machine_text(binding: Binding) -> str:
    """Return a binding as TOML."""
    lines = [f"module = {json.dumps(str(binding.module))}"]
    if binding.init_args:
        lines.append(f"init_args = {json.dumps(binding.init_args)}")
    lines.append("[environment]")
    lines += [f"{name} = {json.dumps(value)}" for name, value in binding.environment]
    return "\n".join(lines) + "\n"


def init_key(binding: Binding, uri: str, kind: str, folder: Path) -> bytes:
    """Make a key on the token with the product's own `token init`; its certificate (DER).

    An elliptic key is made too, though a ceremony's preflight refuses it.
    """
    (folder / "machine.toml").write_text(machine_text(binding), "utf-8")
    output = folder / f"{kind}.pem"
    reader, writer = os.pipe()
    os.write(writer, PIN.encode() + b"\n")
    os.close(writer)
    words = ("--kind", kind, "--label", kind, "--output", output, "--pin-fd", reader)
    try:
        dispatch(
            ["token", "init", uri, "--machine", str(folder / "machine.toml"), *map(str, words)]
        )
    finally:
        os.close(reader)
    certificate = x509.load_pem_x509_certificate(output.read_bytes())
    return certificate.public_bytes(Encoding.DER)
