"""The two forms of signed attributes: they differ in the ciphers that nobody will use.

Decides the SMIMECapabilities attribute of each writer. sbsign's list comes from OpenSSL's
build in Debian; systemd-sbsign writes an empty one. A ceremony knows the first form only.
Sources: RFC 2985; RFC 8551, 2.5.2.
"""

from __future__ import annotations

from enum import StrEnum

from cryptography.hazmat import asn1

from ceremony.pe.oid import ObjectIdentifier

AES_256_CBC = ObjectIdentifier("2.16.840.1.101.3.4.1.42")
AES_192_CBC = ObjectIdentifier("2.16.840.1.101.3.4.1.22")
AES_128_CBC = ObjectIdentifier("2.16.840.1.101.3.4.1.2")
DES_EDE3_CBC = ObjectIdentifier("1.2.840.113549.3.7")
RC2_CBC = ObjectIdentifier("1.2.840.113549.3.2")
DES_CBC = ObjectIdentifier("1.3.14.3.2.7")
DEBIAN_CIPHERS = (
    (AES_256_CBC, None),
    (AES_192_CBC, None),
    (AES_128_CBC, None),
    (DES_EDE3_CBC, None),
    (RC2_CBC, 128),
    (RC2_CBC, 64),
    (DES_CBC, None),
    (RC2_CBC, 40),
)


class Profile(StrEnum):
    """Whose bytes the signed attributes are."""

    SBSIGN = "sbsign/Debian"
    SYSTEMD_SBSIGN = "systemd-sbsign"


# SMIMECapabilities ::= SEQUENCE OF SMIMECapability
# SMIMECapability ::= SEQUENCE {
#     capabilityID OBJECT IDENTIFIER, parameters ANY OPTIONAL }   -- here: RC2's key bits


@asn1.sequence
class SMIMECapability:
    """One cipher, with the effective key bits where it is RC2."""

    capability: ObjectIdentifier
    key_bits: int | None


def capabilities(profile: Profile) -> bytes:
    """Return the content octets of a profile's SMIMECapabilities."""
    ciphers = DEBIAN_CIPHERS if profile is Profile.SBSIGN else ()
    return b"".join(
        asn1.encode_der(SMIMECapability(capability=cipher, key_bits=bits))
        for cipher, bits in ciphers
    )
