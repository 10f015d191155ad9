"""A Sigstore bundle v0.3, as far as it can be read without trusting anything.

Decides whether bytes are a bundle of exactly one signature by a certificate (dsseEnvelope or
messageSignature) and whom that certificate names. Members not known here are refused, so
that no other reader of the same bytes finds another certificate or payload in them. Refuses
to know whether any of it is true: sigstore.py asks the verifier for that.
"""

from __future__ import annotations

import re
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ObjectIdentifier

from ceremony.attest import strict_json
from ceremony.attest.strict_base64 import decoded
from ceremony.attest.strict_json import Json
from ceremony.errors import refuse
from ceremony.show import escaped

RULE = "ATT-BUNDLE"
COUNT_RULE = "ATT-BUNDLE-ONE"
AGE_RULE = "ATT-BUNDLE-AGE"
MOST_BYTES = 4 << 20
MOST_ENTRIES = 8
# Fulcio's live ten minutes.
LONGEST_LIFE = timedelta(days=1)
MEDIA_TYPES = (
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
)
OLD_TYPE = re.compile(r"application/vnd\.dev\.sigstore\.bundle\+json;version=0\.[12]")
# Fulcio's certificate extensions: 1.1 the issuer as bare text (old), 1.8 the issuer and
# 1.13 the commit that the workflow ran at, as DER UTF8String.
_FULCIO = "1.3.6.1.4.1.57264.1."
_UTF8_STRING = 0x0C
_SHORT = 0x80
_LONG_ONE = 0x81


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds; nothing of it is verified.

    `payload` is the DSSE payload and its type, None in a bundle that signs a file's digest.
    `commit` is the source commit that the certificate names, or ""; the certificate lived
    from `certified` to `expires`.
    """

    identity: str
    issuer: str
    commit: str
    certified: datetime
    expires: datetime
    payload_type: str
    payload: bytes | None


def looks_like_sigstore(path: str, data: bytes) -> bool:
    """Say whether the file is a JSON object with a bundle's media type, or is so named."""
    is_object = data[:64].lstrip(b" \t\r\n").startswith(b"{")
    named = path.endswith((".sigstore.json", ".sigstore"))
    return is_object and (b"application/vnd.dev.sigstore.bundle" in data or named)


def looks_like_trusted_root(path: str, data: bytes) -> bool:
    """Say whether the file may be a Sigstore trusted root."""
    return path.endswith(".json") and b"application/vnd.dev.sigstore.trustedroot" in data


def read_bundle(data: bytes) -> Bundle:
    """Read a bundle; Refused (ATT-BUNDLE, -ONE, -AGE, ATT-JSON) says why not."""
    document = strict_json.loads(data, MOST_BYTES)
    members = document if isinstance(document, dict) else {}
    kind = members.get("mediaType")
    if isinstance(kind, str) and OLD_TYPE.fullmatch(kind):
        raise refuse(AGE_RULE, f"{escaped(kind)} is too old: attest again, with a bundle v0.3")
    if kind not in MEDIA_TYPES:
        raise refuse(RULE, f"{escaped(str(kind))} is no Sigstore bundle v0.3")
    payload: bytes | None = None
    match members:
        case {"verificationMaterial": dict(material), "dsseEnvelope": dict(envelope), **others}:
            payload_type, payload = _envelope(envelope)
        case {"verificationMaterial": dict(material), "messageSignature": dict(_), **others}:
            payload_type = ""
        case _:
            raise refuse(RULE, "it has no verificationMaterial, or nothing that is signed")
    if set(others) - {"mediaType"}:
        raise refuse(RULE, f"a member {escaped(min(set(others) - {'mediaType'}))} too many")
    return _certified(_certificate(material), payload_type, payload)


def _envelope(envelope: dict[str, Json]) -> tuple[str, bytes]:
    match envelope:
        case {"payload": str(text), "payloadType": str(kind), "signatures": list(entries), **more}:
            if more:
                raise refuse(RULE, f"the envelope has a member {escaped(min(more))} too many")
        case _:
            raise refuse(RULE, "the envelope's payload, payloadType or signatures is missing")
    if len(entries) != 1:
        raise refuse(COUNT_RULE, f"{len(entries)} signatures in one bundle; it must have one")
    return kind, decoded(text, RULE)


def _certificate(material: dict[str, Json]) -> x509.Certificate:
    match material:
        case {"certificate": {"rawBytes": str(text), **more}, "tlogEntries": list(entries)}:
            allowed = {"certificate", "tlogEntries", "timestampVerificationData"}
            if more or set(material) - allowed:
                raise refuse(RULE, "the verification material has a member too many")
        case _:
            raise refuse(RULE, "the verification material is not a certificate with log entries")
    if not 0 < len(entries) <= MOST_ENTRIES:
        raise refuse(RULE, f"{len(entries)} log entries; 1 to {MOST_ENTRIES} are read")
    try:
        with _warned_is_refused():
            return x509.load_der_x509_certificate(decoded(text, RULE))
    # The latter two are no ValueError.
    except (ValueError, x509.InvalidVersion, CryptographyDeprecationWarning):
        raise refuse(RULE, "the certificate cannot be read") from None


def _warned_is_refused() -> AbstractContextManager[object]:
    """Make what the package warns of an error.

    What RFC 5280 does not allow, as a serial of zero, its next release refuses and this one
    warns of: the answer is to be one and the same.
    """
    return warnings.catch_warnings(action="error", category=CryptographyDeprecationWarning)


def _certified(certificate: x509.Certificate, kind: str, payload: bytes | None) -> Bundle:
    try:
        with _warned_is_refused():
            extensions = certificate.extensions
        names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (
        *(ValueError, x509.ExtensionNotFound, x509.DuplicateExtension),
        *(x509.UnsupportedGeneralNameType, CryptographyDeprecationWarning),
    ):
        raise refuse(RULE, "the certificate's extensions cannot be read or name nobody") from None
    match names:
        case [x509.UniformResourceIdentifier() | x509.RFC822Name() as name]:
            identity = name.value
        case _:
            raise refuse(RULE, "the certificate names not exactly one workflow or address")
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not timedelta(0) < last - first <= LONGEST_LIFE:
        raise refuse(RULE, "the certificate lives longer than a day: when it signed is unknown")
    return Bundle(
        identity=identity,
        issuer=_text(extensions, "8") or _text(extensions, "1", bare=True),
        commit=_text(extensions, "13"),
        certified=first,
        expires=last,
        payload_type=kind,
        payload=payload,
    )


def _text(extensions: x509.Extensions, number: str, *, bare: bool = False) -> str:
    try:
        value = extensions.get_extension_for_oid(ObjectIdentifier(_FULCIO + number)).value
    except x509.ExtensionNotFound:
        return ""
    data = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    text = data if bare else _utf8_string(data)
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise refuse(RULE, f"the certificate's extension {number} is no text") from None


def _utf8_string(der: bytes) -> bytes:
    # X.690 8.1.3: one length byte up to 127, 0x81 and one byte up to 255; longer is not used.
    match list(der[:3]):
        case [tag, length, *_] if tag == _UTF8_STRING and length < _SHORT:
            body = der[2:]
        case [tag, long, length] if tag == _UTF8_STRING and long == _LONG_ONE:
            body = der[3:]
        case _:
            raise refuse(RULE, "an extension of the certificate is no UTF8String")
    if len(body) != length:
        raise refuse(RULE, "an extension of the certificate has a wrong length")
    return body
