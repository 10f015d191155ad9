"""The key that --key names: a PEM file, or a PKCS#11 URI on a token behind its own process.

Decides only which of the two it is and that its public half is the certificate's. The token
is judged by the ceremony's preflight: what would spend a PIN try in vain or could not sign
is refused, what only a ceremony demands is a warning here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ceremony.errors import Refused, TokenTrouble, refuse
from ceremony.pe.certificate import public_key_info, read_certificate, sha256
from ceremony.pe.sign import SigningPlan
from ceremony.rehearsal_key import REHEARSAL_SPKI_SHA256
from ceremony.types import Finding, Mode, Severity, refusals
from hsm.file_key import MOST_KEY_BYTES, FileKey, open_file_key
from tui.sbsigntools.certificates import read_small
from tui.sbsigntools.secrets import Secrets

if TYPE_CHECKING:
    from ceremony.pin_uses import UsePin
    from hsm.binding import Binding
    from hsm.token import Pkcs11Token

SCHEME = "pkcs11:"
MODULE_VARIABLE = "PKCS11_MODULE_PATH"  # libp11's own, for whoever calls sbsign --engine pkcs11
# Where modules keep their configuration; the token's process gets these and nothing else.
PASSED_ON = ("OPENSC_CONF", "SOFTHSM2_CONF", "TPM2_PKCS11_STORE", "YUBIHSM_PKCS11_CONF")
STOPPING = frozenset(
    {"KEY-MATCH", "KEY-MECHANISM", "KEY-PIN-LOCKED", "KEY-PIN-PAD", "KEY-REHEARSAL", "KEY-SIGN"}
)
_REFUSED = {
    "locked": "KEY-PIN-LOCKED",
    "wrong-pin": "KEY-PIN-WRONG",
    "cancelled": "KEY-PIN-ENTRY",  # no PIN was given, and no try was spent
}

Tell = Callable[[tuple[Finding, ...]], None]


class Key(Protocol):
    """What signs a plan."""

    def sign(self, plan: SigningPlan) -> bytes:
        """Return the raw signature in the form that CMS holds."""
        ...

    def close(self) -> None:
        """Let go of the key."""
        ...


class _PemKey:
    """A key file's key."""

    def __init__(self, key: FileKey) -> None:
        self._key = key

    def sign(self, plan: SigningPlan) -> bytes:
        return self._key.sign(plan.attributes)

    def close(self) -> None:
        """Keep nothing open."""


class _TokenKey:
    """A token's key, logged in."""

    def __init__(self, token: Pkcs11Token, certificate: bytes, use: UsePin) -> None:
        self._token = token
        self._certificate = certificate
        self._use = use

    def sign(self, plan: SigningPlan) -> bytes:
        from ceremony import preflight  # noqa: PLC0415 - a key file needs none of it
        from ceremony.token import sign_request  # noqa: PLC0415 - nor of this

        key = preflight.signing_key(preflight.read_certificate(self._certificate))
        mechanism = preflight.mechanism_for(key)
        digest = plan.to_be_signed_sha256.hex()
        request = sign_request(Mode.PRODUCTION, 1, preflight.spki_sha256(key), mechanism, digest)
        result = self._token.sign(request, self._use)
        if result.outcome != "signed":
            raise TokenTrouble(result.rule or "KEY-LOST", result.text or result.outcome)
        return bytes.fromhex(result.signature)

    def close(self) -> None:
        self._token.close()


def open_key(
    name: str, certificate: bytes, secrets: Secrets, machine: Path | None, tell: Tell
) -> Key:
    """Open the key that `name` names and that belongs to the certificate (DER).

    `machine` is a binding file for a token; `tell` is given warnings. Raises Refused (KEY-...)
    and TokenTrouble.
    """
    if name[: len(SCHEME)].lower() == SCHEME:
        return _open_token(name, certificate, secrets, _binding(machine), tell)
    pem = read_small(Path(name), MOST_KEY_BYTES)
    key = open_file_key(pem, lambda: secrets.ask("Passphrase of the key (not shown): "))
    if sha256(key.spki).hex() == REHEARSAL_SPKI_SHA256:
        raise refuse("KEY-REHEARSAL", "this is the published rehearsal key")
    if key.spki != public_key_info(read_certificate(certificate)):
        raise refuse("KEY-MATCH", "the key file's public half is not the certificate's")
    return _PemKey(key)


def _open_token(
    uri: str, certificate: bytes, secrets: Secrets, binding: Binding, tell: Tell
) -> _TokenKey:
    from ceremony.pin_uses import PinUse  # noqa: PLC0415 - a key file needs none of it
    from ceremony.preflight import preflight  # noqa: PLC0415 - nor of this
    from hsm.token import Pkcs11Token  # noqa: PLC0415 - nor of this
    from tui.pin_prompt import allow, ask_pin, asking  # noqa: PLC0415 - nor of this

    token = Pkcs11Token(binding, uri)
    now = datetime.now(UTC)
    try:
        seen = token.probe(certificate)
        without_pin = preflight(seen, certificate, now, Mode.PRODUCTION)
        _judge(without_pin, tell)
        pin = bytearray()
        if seen.protected_path:
            allow(secrets, seen.pin_state)
        else:
            pin = ask_pin(secrets, seen.token_label, seen.pin_state)
        # Nobody types a PIN that comes from a descriptor: it stays for this one signature.
        use = asking(secrets, seen.token_label, PinUse.TEST)
        login = token.login(pin, use=use, keep=secrets.descriptor is not None)
        if login.evidence is None:
            text = f"{login.outcome}; the token says of its tries: {login.pin_state}"
            raise refuse(_REFUSED[login.outcome], text)
        found = preflight(login.evidence, certificate, now, Mode.PRODUCTION)
        _judge(tuple(f for f in found if f not in without_pin), tell)  # nothing is said twice
    except (Refused, TokenTrouble):
        token.close()
        raise
    return _TokenKey(token, certificate, asking(secrets, seen.token_label, PinUse.SIGNATURE))


def _judge(found: tuple[Finding, ...], tell: Tell) -> None:
    stops = tuple(f for f in refusals(found) if f.rule in STOPPING)
    if stops:
        raise Refused(*stops)
    tell(
        tuple(
            Finding(f.rule, Severity.WARN, f.text, f.offset)
            for f in found
            if f.severity is not Severity.INFO and f.rule not in STOPPING
        )
    )


def _binding(machine: Path | None) -> Binding:
    from hsm.binding import (  # noqa: PLC0415 - a key file needs none of it
        BINDING_MOST_BYTES,
        Binding,
        find_module,
        read_outside,
    )

    if machine is not None:
        return read_outside(read_small(machine, BINDING_MOST_BYTES))
    named = os.environ.get(MODULE_VARIABLE)
    module = Path(named) if named else find_module()
    if module is None or not module.is_absolute():
        text = f"no PKCS#11 module; name one with --machine FILE or {MODULE_VARIABLE}"
        raise refuse("KEY-MODULE", text)
    passed = tuple((name, os.environ[name]) for name in PASSED_ON if name in os.environ)
    return Binding(module, passed)
