"""The virtual PIV card as OpenSC's and as Yubico's module show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tokens.brought import LIMITS, PIN, Brought
from tokens.daemons import library, needed_file
from tokens.piv_attestation import make_attester, named
from tokens.piv_card import PivCard, Slot
from tokens.piv_encoding import PrivateKey
from tokens.virtual_reader import reader

from ceremony.practice import PRACTICE_NAME
from hsm.binding import Binding
from hsm.issuing import EXTENSIONS

AUTHENTICATION, SIGNATURE = 0x9A, 0x9C
MODULES = {
    "opensc": (library("opensc-pkcs11.so"), "opensc-pkcs11"),
    "ykcs11": (library("libykcs11.so.2") + library("libykcs11.so"), "ykcs11"),
}
URIS = {
    "opensc": "pkcs11:token=uki-ec",  # OpenSC names a card by its first certificate's holder
    "ykcs11": "pkcs11:token=YubiKey%20PIV%20%2312345678;serial=12345678",
}
FLAGS = {
    # OpenSC shows a first wrong PIN to nobody, and old flags after a right one.
    "opensc": ("ok", "final-try", "locked"),
    "ykcs11": ("count-low", "final-try", "locked"),
}


def certificate_for(key: PrivateKey, common: str) -> bytes:
    """Return a code signer's certificate (DER), signed by the key itself."""
    now = datetime.now(UTC)
    name = named(common)
    first, last = now - timedelta(days=1), now + timedelta(days=365)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, first, last)
    for extension, critical in EXTENSIONS:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def make_card() -> PivCard:
    """Return a card with an RSA key that asks for the PIN always, and an EC key."""
    signing = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    other = ec.generate_private_key(ec.SECP256R1())
    keys = {
        AUTHENTICATION: Slot(other, certificate_for(other, "uki-ec")),
        SIGNATURE: Slot(signing, certificate_for(signing, PRACTICE_NAME), always=True),
    }
    return PivCard(keys, pin=PIN, yubikey=True, attester=make_attester())


@contextmanager
def carded(name: str) -> Iterator[Brought]:
    """Put a card into a reader, for as long as tests use it."""
    paths, package = MODULES[name]
    module = needed_file(paths, package=package)
    card = make_card()
    try:
        with reader(card) as environment:
            yield Brought(
                name,
                Binding(module, tuple(environment.items()), LIMITS),
                URIS[name],
                card.remove,
                card.insert,
                {
                    "rsa": card.keys[SIGNATURE].certificate,
                    "ec": card.keys[AUTHENTICATION].certificate,
                },
                flags=FLAGS[name],
                locks=True,
                card=card,
            )
    finally:
        card.end()
