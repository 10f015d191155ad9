"""The policy's table [signer]: which key signs, how its PIN is typed, what proves its birth."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from cryptography import x509

from ceremony.distinguished_name import dn_text
from ceremony.key_attestation import Demands
from ceremony.pin_parts import PinEntry, PinPart, first_part
from ceremony.token import Mechanism


@dataclass(frozen=True, slots=True)
class Signer:
    """Which key signs: its PKCS#11 URI, its certificate and the chain to embed, as PEM.

    `dbx` are the signature lists that must revoke none of it; empty where none is asked.
    `ecdsa` says that the firmware at hand boots ECDSA signatures, which most refuses.
    `pin` is how the PIN is typed, `pin_shares` how many shares make it; `attestation` what
    is asked about where the key was made.
    """

    uri: str
    certificate: str
    chain: tuple[str, ...]
    dbx: bytes = b""
    ecdsa: bool = False
    pin: PinEntry = PinEntry.WHOLE
    pin_shares: int = 0
    attestation: Demands = field(default_factory=Demands)

    @property
    def first_part(self) -> PinPart:
        """Return what the first person types."""
        return first_part(self.pin, self.pin_shares)

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """Return the mechanisms that may sign."""
        return ("CKM_RSA_PKCS", "CKM_ECDSA") if self.ecdsa else ("CKM_RSA_PKCS",)


def one_certificate(text: str, *, named: bool) -> bool:
    """Tell whether it is one PEM certificate, whose name is text where it is told: `named`.

    What the library only warns of is no refusal here, whatever Python makes of warnings.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            (found,) = x509.load_pem_x509_certificates(text.encode("ascii"))
            if named:
                dn_text(found.subject)
    except (ValueError, TypeError, x509.InvalidVersion):
        return False
    return True
