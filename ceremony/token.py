"""What the token room tells the rules and what the rules ask of it: facts and requests.

This file decides only shapes, all of str, int, bool and tuples of them, so that a
transcript can hold every one. Bytes are lower-case hex. It refuses to know PKCS#11,
processes and PINs: a PIN never stands in a frozen dataclass.

A request to sign is one of two types. The embedded rehearsal key takes the rehearsal
type alone, so that no path through the program makes a release signature with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, assert_never

from ceremony.types import Mode

Grade = Literal["asserted by module", "embedded rehearsal key", "proved by attestation chain"]
PinState = Literal["ok", "count-low", "final-try", "locked", "unknown"]
FoundAs = Literal["private key", "public key", "certificate"]
Stage = Literal["before-login", "after-login"]
Possession = Literal["proved", "not-tried"]
Mechanism = Literal["CKM_RSA_PKCS", "CKM_ECDSA"]

_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_SIGNATURE_HEX = re.compile(r"(?:[0-9a-f]{2}){0,4096}")
_BYTES_HEX = re.compile(r"(?:[0-9a-f]{2})+")


@dataclass(frozen=True, slots=True)
class KeyEvidence:
    """One object on the token with the certificate's public key.

    `attributes` are (name, "true" | "false" | "unreadable"), as the module claims them; they
    are empty while only the public half is visible, which is usual before login.
    `id` is CKA_ID in hex, `bits` the modulus or field size.
    """

    label: str
    id: str
    spki_sha256: str
    key_type: str
    bits: int
    found_as: FoundAs
    attributes: tuple[tuple[str, str], ...]
    always_authenticate: bool

    def attribute(self, name: str) -> str:
        """Return the value of one graded attribute, "unreadable" where it is not there."""
        return dict(self.attributes).get(name, "unreadable")


@dataclass(frozen=True, slots=True)
class TokenEvidence:
    """All that was learned about the one token that holds the key, for preflight and record.

    Before login `keys` holds what the token shows without a PIN, mostly the public half;
    after login it holds the private keys and nothing else. `possession` is "proved" when a
    random challenge was signed and verified in this login. `libraries` are (path, SHA-256) of
    every file that was mapped to be run in the module's process, the module among them;
    `sandbox` says what was around that process. `attestation` are certificates on the token
    that speak of keys, and CAs beside them (DER, lower-case hex); `grade` is what holds without
    them.
    """

    module_path: str
    module_sha256: str
    library_manufacturer: str
    library_description: str
    library_version: str
    cryptoki: str
    slot_id: int
    slot_description: str
    slot_manufacturer: str
    token_label: str
    token_serial: str
    token_model: str
    token_manufacturer: str
    token_flags: tuple[str, ...]
    mechanisms: tuple[str, ...]
    keys: tuple[KeyEvidence, ...]
    pin_state: PinState
    protected_path: bool
    libraries: tuple[tuple[str, str], ...]
    sandbox: str
    grade: Grade
    stage: Stage
    possession: Possession
    attestation: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(_BYTES_HEX.fullmatch(der) for der in self.attestation):
            raise TypeError("an attestation is whole bytes in lower-case hex")

    @property
    def always_authenticate(self) -> bool:
        """Tell whether a private key that was seen asks for its PIN at every use."""
        return any(key.always_authenticate for key in self.keys)


@dataclass(frozen=True, slots=True)
class LoginResult:
    """What became of a login, and of its test signature where the key asks for the PIN again.

    "cancelled" means that no try was spent: the PIN was empty or cannot be a PIN, or the
    holder cancelled on the reader. `evidence` is there exactly when the outcome is "ok";
    preflight judges it again, now that the private key can be seen.
    """

    outcome: Literal["ok", "wrong-pin", "locked", "cancelled"]
    pin_state: PinState
    evidence: TokenEvidence | None = None


@dataclass(frozen=True, slots=True)
class Mandate:
    """What stands behind a request in a ceremony: for the token's process to judge by itself.

    `plan` is the text that was approved, `approvals` armoured SSHSIGs over it; the policy's
    bytes and the DER attributes are hex.
    """

    plan: str
    policy: str
    attributes: str
    approvals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Request:
    """What both requests hold: the attempt from 1, the key, and the SHA-256 to be signed.

    `digest` is 64 hex digits. The token room alone wraps it into a DigestInfo (RFC 8017, 9.2)
    for CKM_RSA_PKCS, so that nothing but a SHA-256 digest can ever be signed. `mandate` is
    there in a ceremony; a token opened for one signs nothing without it.
    """

    mode: Mode
    attempt: int
    spki_sha256: str
    mechanism: Mechanism
    digest: str
    mandate: Mandate | None = None

    def __post_init__(self) -> None:
        if self.attempt < 1:
            raise TypeError("attempts count from 1")
        if not _SHA256_HEX.fullmatch(self.spki_sha256) or not _SHA256_HEX.fullmatch(self.digest):
            raise TypeError("a SHA-256 value is 64 lower-case hex digits")


@dataclass(frozen=True, slots=True)
class RehearsalRequest(_Request):
    """A request for a practice signature."""

    def __post_init__(self) -> None:
        # slots=True makes a new class, which zero-argument super() would not find.
        _Request.__post_init__(self)
        if self.mode is not Mode.REHEARSAL:
            raise TypeError("a rehearsal request exists in rehearsal mode only")


@dataclass(frozen=True, slots=True)
class ProductionRequest(_Request):
    """A request for a release signature."""

    def __post_init__(self) -> None:
        _Request.__post_init__(self)
        if self.mode is not Mode.PRODUCTION:
            raise TypeError("a production request exists in production mode only")


SignRequest = RehearsalRequest | ProductionRequest


def sign_request(  # noqa: PLR0913 - what a request holds
    mode: Mode,
    attempt: int,
    spki_sha256: str,
    mechanism: Mechanism,
    digest: str,
    *,
    mandate: Mandate | None = None,
) -> SignRequest:
    """Make the one type of request that the ceremony's mode allows."""
    match mode:
        case Mode.REHEARSAL:
            return RehearsalRequest(mode, attempt, spki_sha256, mechanism, digest, mandate)
        case Mode.PRODUCTION:
            return ProductionRequest(mode, attempt, spki_sha256, mechanism, digest, mandate)
        case _:
            assert_never(mode)


@dataclass(frozen=True, slots=True)
class SignResult:
    """What became of one attempt to sign.

    "signed": `signature` is lower-case hex of at most 4096 bytes (PKCS#1 v1.5 block, or DER
    ECDSA-Sig-Value), and was verified against the certificate outside the process that made
    it; with another outcome it is empty. "failed": the token answered and
    there is no usable signature. "unknown": the token or its module was lost meanwhile, so a
    signature may exist that nobody holds; attempt n+1 follows a new inventory of the token.
    `rule` and `text` say why; both are empty when signed.
    """

    outcome: Literal["signed", "unknown", "failed"]
    signature: str = ""
    rule: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        if not _SIGNATURE_HEX.fullmatch(self.signature):
            raise TypeError("a signature is whole bytes in lower-case hex, 4096 of them at most")
        if (self.outcome == "signed") != bool(self.signature):
            raise TypeError("there is a signature exactly when the outcome is signed")
