"""The rules of Authenticode signatures: what is signed, by whom, and what is found signed."""

from __future__ import annotations

from ceremony.rules import table

STRIP = "Start from the unsigned image instead of this one."
AGAIN = "Plan again from the image and certificate at hand, and sign once more."
DBX = "Take the dbx file again, from the firmware or its vendor."
REVOKED = "Start from an unsigned image, and sign with a certificate that dbx does not revoke."
KEY = "Check which key the token used; do not publish what it returned."
MINE = "Take the signature that was made for this image, or start from the unsigned image."
TRUST = "Give the certificate that you trust; what the signature carries proves nothing."
DISCARD = "Discard the signed file, assemble it again and compare."

RULES = table(
    (
        "SIG-FILE",
        "A file that is to be attached as a signature holds one Authenticode PKCS#7 in DER.",
        "Name the file that sbsign --detached, sbattach --detach or assemble --detached wrote.",
    ),
    ("SIG-PRESENT", "The image carries no signature yet.", STRIP),
    ("SIG-DER", "A signature is strict DER: definite, minimal, nothing behind it.", STRIP),
    ("SIG-CMS", "A signature is PKCS#7 signed data over an SpcIndirectDataContent.", STRIP),
    ("SIG-SIGNERS", "A signature has exactly one SignerInfo.", STRIP),
    ("SIG-OUTER", "A signature is encoded so that EDK2 finds its digest algorithm.", STRIP),
    ("SIG-ALGORITHM", "A signature uses SHA-256 throughout.", STRIP),
    ("SIG-DIGEST", "A signature's digest is this image's Authenticode SHA-256.", MINE),
    ("SIG-ATTRIBUTES", "The signed attributes fit the content that they sign.", AGAIN),
    ("SIG-CERTIFICATE", "A certificate is one strict DER X.509 certificate.", "Export it again."),
    (
        "SIG-KEY",
        "The key is RSA with 2048 to 16384 bits; outside a ceremony P-256 and P-384 serve too.",
        "Use another key; firmware takes RSA with 2048 bits or more.",
    ),
    ("SIG-TIME", "The signing time is whole seconds in UTC before 2050.", "Correct the clock."),
    ("SIG-VALUE", "The signature verifies with the certificate's key.", KEY),
    (
        "SIG-ATTEMPTS",
        "One signature of this image exists: each attempt before it left none, or the same bytes.",
        "Release the signed image of this record only; another one is none of this ceremony.",
    ),
    ("SIG-SIGNER", "The signer is the certificate that was given.", KEY),
    ("SIG-DBX", "The dbx file is a whole sequence of signature lists, all understood.", DBX),
    ("SIG-REVOKED", "Neither the image nor a signature's chain is revoked in dbx.", REVOKED),
    ("SIG-CHAIN", "The signer is, or was issued by, a certificate that was given.", TRUST),
    (
        "SIG-ACTION",
        "Exactly one action is asked for: attach, detach or remove.",
        "Name one of the three.",
    ),
    ("SIG-NUMBER", "The signature that is named is there.", "List them: sbverify --list IMAGE."),
    ("SIG-PROFILE", "The signature is byte for byte what sbsign writes.", DISCARD),
    ("SIG-MISSING", "The signed file carries a signature.", DISCARD),
    ("SIG-CHECKSUM", "The signed file's CheckSum is right.", DISCARD),
    ("SIG-SECOND", "Another implementation, where one is installed, accepts it.", DISCARD),
    ("SIG-ATTACH", "Image and signature give exactly the signed file's bytes.", DISCARD),
)
