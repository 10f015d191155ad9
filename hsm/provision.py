"""Make a SoftHSM token for a rehearsal: key inside, certificate signed by it, binding and URI.

Decides what a rehearsal's token looks like. It refuses to touch a folder that has one
already, and any token but the one it makes. The holder's PIN goes to the child over its own
pipe; `softhsm2-util`, which takes PINs as arguments, only gets random ones that are
replaced at once.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ceremony.errors import MediaTrouble, TokenTrouble
from ceremony.practice import PRACTICE_NAME
from ceremony.show import escaped
from hsm.binding import Binding, find_module, read_binding
from hsm.child import Child
from hsm.issuing import self_signed
from hsm.minting import Kind, Wanted, mint

TOKEN_LABEL = "rehearsal"  # noqa: S105 - a token's label
KEY_LABEL, KEY_ID = "uki", "01"
SUBJECT = "Rehearsal signer (SoftHSM)"
CONFIGURATION, TOKENS = "softhsm2.conf", "tokens"
_MAKE_SECONDS = 120.0
_SIGN_SECONDS = 30.0

# RFC 4055, 5: AlgorithmIdentifier of sha256WithRSAEncryption, whose parameters are NULL.
_SHA256_WITH_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A new token: its machine binding (TOML), its certificate (PEM) and the policy's URI."""

    binding_toml: str
    certificate_pem: bytes
    uri: str


def make_rehearsal_token(
    folder: Path, pin: str, *, not_before: datetime, not_after: datetime, bits: int = 2048
) -> Provisioned:
    """Make a token in `folder` (made if absent) with an RSA key of `bits` and a certificate.

    `pin` is 4 to MOST_PIN printable ASCII characters. Raises TokenTrouble: KEY-MODULE where
    SoftHSM is not installed, KEY-TOKEN where `folder` has a token, KEY-REFUSED, KEY-CHILD;
    MediaTrouble MED-WRITE where the folder cannot be made.
    """
    module = find_module()
    if module is None or shutil.which("softhsm2-util") is None:
        raise TokenTrouble("KEY-MODULE", "SoftHSM (softhsm2) is not installed")
    place = Path(os.path.realpath(folder))
    toml = _folder(place, module)
    try:
        binding = read_binding(toml.encode("utf-8"))
        first_pin = _initialised(binding)
        child = Child("minting", binding)
        try:
            typed = bytearray(pin.encode("ascii"))
            wanted = Wanted((("token", TOKEN_LABEL),), Kind(bits), KEY_LABEL, KEY_ID)
            minted = mint(child, module, wanted, typed, first_pin)
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, PRACTICE_NAME)])
            certificate = self_signed(minted.key, minted.ask, name, not_before, not_after)
            serial = minted.serial
        finally:
            child.close()
    except BaseException:
        _withdraw(place)  # half a token would be taken for a whole one by the next try
        raise
    named = f"pkcs11:token={TOKEN_LABEL};serial={serial};object={KEY_LABEL};type=private"
    return Provisioned(toml, certificate.public_bytes(Encoding.PEM), named)


def _withdraw(folder: Path) -> None:
    """Take away what was made here of a token that did not come to be."""
    shutil.rmtree(folder / TOKENS, ignore_errors=True)
    (folder / CONFIGURATION).unlink(missing_ok=True)


def _folder(folder: Path, module: Path) -> str:
    """Write the token's folder and SoftHSM's configuration, and return the binding."""
    configuration, tokens = folder / CONFIGURATION, folder / TOKENS
    text = f"directories.tokendir = {tokens}\nobjectstore.backend = file\n"
    text += "log.level = ERROR\nslots.removable = false\n"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.path.lexists(configuration) or os.path.lexists(tokens):
            raise TokenTrouble("KEY-TOKEN", "the folder holds a token already")
        try:
            with configuration.open("x", encoding="utf-8") as file:
                file.write(text)
            tokens.mkdir(mode=0o700)
        except OSError:
            _withdraw(folder)
            raise
    except OSError as error:
        text = f"{escaped(str(folder), 4096)}: the folder cannot be made: {error.strerror}"
        raise MediaTrouble("MED-WRITE", text) from None
    # A JSON string is a TOML basic string.
    return (
        f"module = {json.dumps(str(module))}\nrehearsal = true\n\n"
        f"[environment]\nSOFTHSM2_CONF = {json.dumps(str(configuration))}\n"
    )


def _initialised(binding: Binding) -> str:
    """Initialise the token with random PINs and return the user's, soon to be replaced."""
    first_pin = secrets.token_hex(16)
    command = ("softhsm2-util", "--init-token", "--free", "--label", TOKEN_LABEL)
    result = subprocess.run(  # noqa: S603 - literals and random hex
        (*command, "--pin", first_pin, "--so-pin", secrets.token_hex(16)),
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", **dict(binding.environment)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_MAKE_SECONDS,
        check=False,
    )
    if result.returncode != 0:
        raise TokenTrouble("KEY-TOKEN", f"softhsm2-util failed with status {result.returncode}")
    return first_pin
