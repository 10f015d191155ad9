"""The rules of Authenticode signatures: what is signed, by whom, and what is found signed."""

from __future__ import annotations

from ceremony.rules import table

STRIP = "Start from the unsigned image instead of this one."
AGAIN = "Plan again from the image and certificate at hand, and sign once more."
KEY = "Check which key the token used; do not publish what it returned."
DISCARD = "Discard the signed file, assemble it again and compare."

RULES = table(
    ("SIG-PRESENT", "the image carries no signature yet", STRIP),
    ("SIG-DER", "a signature is strict DER: definite, minimal, nothing behind it", STRIP),
    ("SIG-CMS", "a signature is PKCS#7 signed data over an SpcIndirectDataContent", STRIP),
    ("SIG-SIGNERS", "a signature has exactly one SignerInfo", STRIP),
    ("SIG-OUTER", "a signature is encoded so that EDK2 finds its digest algorithm", STRIP),
    ("SIG-ALGORITHM", "a signature uses SHA-256 throughout", STRIP),
    ("SIG-DIGEST", "a signature's digest is this image's Authenticode SHA-256", STRIP),
    ("SIG-ATTRIBUTES", "the signed attributes fit the content that they sign", AGAIN),
    ("SIG-CERTIFICATE", "a certificate is one strict DER X.509 certificate", "Export it again."),
    ("SIG-KEY", "the key is RSA with 2048 to 16384 bits", "Use the RSA key of the policy."),
    ("SIG-TIME", "the signing time is whole seconds in UTC before 2050", "Correct the clock."),
    ("SIG-VALUE", "the signature verifies with the certificate's key", KEY),
    ("SIG-SIGNER", "the signer is the certificate that was given", KEY),
    ("SIG-PROFILE", "the signature is byte for byte what sbsign writes", DISCARD),
    ("SIG-MISSING", "the signed file carries a signature", DISCARD),
    ("SIG-CHECKSUM", "the signed file's CheckSum is right", DISCARD),
    ("SIG-SECOND", "another implementation, where one is installed, accepts it", DISCARD),
    ("SIG-ATTACH", "image and signature give exactly the signed file's bytes", DISCARD),
)
