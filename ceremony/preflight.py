"""Whether this key on this token may sign under this certificate, now, in this mode.

Decides over evidence that was gathered elsewhere, twice: before a PIN is asked for, with
what the token shows to anybody, and after login, when the private key itself can be seen.
What cannot be known before login is a warning there and a refusal afterwards. It refuses
to know how evidence is gathered. Key attributes are claims of the module, not proofs.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID

from ceremony.clock import wall_text
from ceremony.errors import Refused, refuse
from ceremony.rehearsal_key import REHEARSAL_SPKI_SHA256
from ceremony.show import escaped
from ceremony.token import KeyEvidence, Mechanism, TokenEvidence
from ceremony.types import Finding, Mode, Severity

CERTIFICATE_MOST_BYTES = 64 * 1024
RSA_LEAST_BITS = 2048

RSA_ALONE: tuple[Mechanism, ...] = ("CKM_RSA_PKCS",)
CURVES = ("secp256r1", "secp384r1")

SigningKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


# What cryptography raises on a damaged certificate. A deprecation is one that a later version
# of it will refuse, such as a serial number that is not positive (RFC 5280, 4.1.2.2).
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    CryptographyDeprecationWarning,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def read_certificate(certificate: bytes) -> x509.Certificate:
    """Read one certificate, PEM or DER, with an RSA or EC key, or raise Refused KEY-CERT-FORM."""
    if len(certificate) > CERTIFICATE_MOST_BYTES:
        raise refuse("KEY-CERT-FORM", f"the certificate is over {CERTIFICATE_MOST_BYTES} bytes")
    blocks = certificate.count(b"-----BEGIN")
    if blocks > 1:
        raise refuse("KEY-CERT-FORM", f"{blocks} PEM blocks where one is expected")
    load = x509.load_pem_x509_certificate if blocks else x509.load_der_x509_certificate
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            read = load(certificate)
            len(read.extensions)  # parsed at the first look
            signing_key(read)
    except _UNREADABLE:  # why is in the words of a library, which are others in its next version
        raise refuse("KEY-CERT-FORM", "not a readable certificate") from None
    return read


def signing_key(certificate: x509.Certificate) -> SigningKey:
    """Return the certificate's RSA or EC public key, or raise Refused KEY-CERT-FORM."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise refuse("KEY-CERT-FORM", "no usable public key") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise refuse("KEY-CERT-FORM", "the certificate's key is neither RSA nor EC")
    return key


def spki_sha256(key: SigningKey) -> str:
    """Return the hex SHA-256 of the DER SubjectPublicKeyInfo: the key's identity."""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def mechanism_for(key: SigningKey) -> Mechanism:
    """Return the one mechanism used for such a key."""
    return "CKM_RSA_PKCS" if isinstance(key, rsa.RSAPublicKey) else "CKM_ECDSA"


def preflight(
    evidence: TokenEvidence,
    certificate: bytes,
    now: datetime,
    mode: Mode,
    mechanisms: tuple[Mechanism, ...] = RSA_ALONE,
) -> tuple[Finding, ...]:
    """Return every finding on token, key and certificate at `now` (aware, UTC) in `mode`.

    `mechanisms` are those that the policy lets sign.
    """
    try:
        read = read_certificate(certificate)
    except Refused as refused:
        return refused.findings
    key = signing_key(read)
    return (
        *_certificate(read, now),
        *_size(key, mechanisms),
        *_origin(evidence, key, mode),
        *_pin(evidence),
        *_pad(evidence),
        *_mechanism(evidence, key),
        *_match(evidence, spki_sha256(key)),
        *_attributes(evidence),
        *_possession(evidence),
    )


def _no(rule: str, text: str) -> Finding:
    return Finding(rule, Severity.REFUSE, text)


def _warn(rule: str, text: str) -> Finding:
    return Finding(rule, Severity.WARN, text)


def _info(rule: str, text: str) -> Finding:
    return Finding(rule, Severity.INFO, text)


def _certificate(read: x509.Certificate, now: datetime) -> Iterator[Finding]:
    first, last = read.not_valid_before_utc, read.not_valid_after_utc
    if now < first:
        yield _no("KEY-CERT-DATES", f"valid from {wall_text(first)}, which is still to come")
    if now > last:
        yield _no("KEY-CERT-DATES", f"expired on {wall_text(last)}")
    yield from _purpose(read)
    yield from _usage(read)


def _purpose(read: x509.Certificate) -> Iterator[Finding]:
    """KEY-CERT-EKU. RFC 5280, 4.2.1.12: no extension, no limit."""
    try:
        purposes = read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        named = " ".join(purpose.dotted_string for purpose in purposes)
        yield _no("KEY-CERT-EKU", f"code signing is not among the purposes: {escaped(named)}")


def _usage(read: x509.Certificate) -> Iterator[Finding]:
    """KEY-CERT-USAGE. RFC 5280, 4.2.1.3: no extension, no limit."""
    try:
        usage = read.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        yield _info("KEY-CERT-USAGE", "the certificate does not limit its key usage")
        return
    if not usage.digital_signature:
        yield _no("KEY-CERT-USAGE", "the key usage lacks digitalSignature")


def _size(key: SigningKey, mechanisms: tuple[Mechanism, ...]) -> Iterator[Finding]:
    """KEY-SIZE: firmware boots RSA; EC is for those whose policy says that theirs takes it."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        named = f"the key is EC ({key.curve.name})"
        if "CKM_ECDSA" not in mechanisms:
            yield _no("KEY-SIZE", f"{named}; the policy takes RSA only")
        elif key.curve.name not in CURVES:
            yield _no("KEY-SIZE", f"{named}; only P-256 and P-384 are taken")
        else:
            yield _warn("KEY-SIZE", f"{named}: most firmware refuses to boot its signatures")
    elif key.key_size < RSA_LEAST_BITS:
        yield _no("KEY-SIZE", f"RSA of {key.key_size} bits, at least {RSA_LEAST_BITS} are needed")


def _origin(evidence: TokenEvidence, key: SigningKey, mode: Mode) -> Iterator[Finding]:
    """KEY-REHEARSAL and KEY-SOFTWARE: what may not, or should not, sign a release."""
    published = REHEARSAL_SPKI_SHA256 in {
        spki_sha256(key),
        *(found.spki_sha256 for found in evidence.keys),
    }
    if published or evidence.grade == "embedded rehearsal key":
        if mode is Mode.PRODUCTION:
            yield _no("KEY-REHEARSAL", "this is the published rehearsal key")
        else:
            yield _warn("KEY-REHEARSAL", "this is the published rehearsal key, for practice only")
    makers = f"{evidence.library_manufacturer} {evidence.token_manufacturer}".lower()
    if mode is Mode.PRODUCTION and "softhsm" in makers:
        yield _warn("KEY-SOFTWARE", "the token is SoftHSM, which keeps the key in a file")


def _pin(evidence: TokenEvidence) -> Iterator[Finding]:
    # After login the counter has been reset; some modules show the old flags (OpenSC).
    if evidence.stage == "after-login":
        return
    if evidence.pin_state == "locked":
        yield _no("KEY-PIN-LOCKED", "the token says that its PIN is locked")
    if evidence.pin_state == "final-try":
        yield _warn("KEY-PIN-FINAL", "the token says that one PIN try is left")
    if evidence.pin_state == "count-low":
        yield _warn("KEY-PIN-LOW", "the token says that a wrong PIN was entered before")


def _pad(evidence: TokenEvidence) -> Iterator[Finding]:
    """KEY-PIN-PAD: python-pkcs11 has no CKU_CONTEXT_SPECIFIC login on a reader's own PIN pad."""
    if evidence.protected_path and evidence.always_authenticate:
        text = "the key asks for its PIN at every use, and the reader takes PINs on its own pad"
        yield _no("KEY-PIN-PAD", text)


def _mechanism(evidence: TokenEvidence, key: SigningKey) -> Iterator[Finding]:
    wanted = mechanism_for(key)
    if wanted not in evidence.mechanisms:
        yield _no("KEY-MECHANISM", f"the token does not offer {wanted}")


def _match(evidence: TokenEvidence, spki: str) -> Iterator[Finding]:
    matching = [found for found in evidence.keys if found.spki_sha256 == spki]
    private = [found for found in matching if found.found_as == "private key"]
    if len(private) > 1:
        names = ", ".join(f"{escaped(found.label)} (id {found.id or 'none'})" for found in private)
        yield _no("KEY-MATCH", f"{len(private)} private keys have this public key: {names}")
    elif not private and evidence.stage == "after-login":
        yield _no("KEY-MATCH", "no private key on the token has the certificate's public key")
    elif not matching:
        yield _warn("KEY-MATCH", "the token does not show the key before login")
    elif not private:
        yield _info("KEY-MATCH", "the public half is on the token; the rest is seen after login")


def _attributes(evidence: TokenEvidence) -> Iterator[Finding]:
    if evidence.grade == "embedded rehearsal key":
        return
    for found in evidence.keys:
        if found.found_as == "private key":
            yield from _grade(found)


def _grade(found: KeyEvidence) -> Iterator[Finding]:
    """KEY-SENSITIVE, KEY-EXTRACTABLE, KEY-SIGN, KEY-LOCAL: the module's claims on one key."""
    must = (
        ("KEY-SENSITIVE", "SENSITIVE", "true"),
        ("KEY-EXTRACTABLE", "EXTRACTABLE", "false"),
        ("KEY-SIGN", "SIGN", "true"),
    )
    for rule, name, wanted in must:
        if (value := found.attribute(name)) != wanted:
            yield _no(rule, f"{name} is {value}, must be {wanted} (asserted by module)")
    history = (
        ("KEY-SENSITIVE", "ALWAYS_SENSITIVE"),
        ("KEY-EXTRACTABLE", "NEVER_EXTRACTABLE"),
    )
    for rule, name in history:
        match found.attribute(name):
            case "true":
                pass
            case "false":
                yield _no(rule, f"{name} is false (asserted by module)")
            case _:
                yield _warn(rule, f"{name} is unreadable")
    if (value := found.attribute("LOCAL")) != "true":
        yield _warn("KEY-LOCAL", f"LOCAL is {value}; the key may have been made elsewhere")


def _possession(evidence: TokenEvidence) -> Iterator[Finding]:
    if evidence.stage == "after-login" and evidence.possession != "proved":
        yield _no("KEY-POSSESSION", "no challenge was signed after login")
