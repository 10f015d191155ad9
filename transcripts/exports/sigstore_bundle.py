"""A DSSE envelope in a Sigstore bundle v0.3 that names a plain key: no certificate, no log.

Source: sigstore/protobuf-specs, sigstore_bundle.proto, in its JSON form. Decides the wrapping
only. What reads it, and that `gh attestation verify` does not, stands in docs/spec/exports.md.
"""

from __future__ import annotations

import base64
import json

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def sigstore_bundle(
    payload_type: str, payload: bytes, signature: bytes, spki_sha256: bytes
) -> bytes:
    """Return the bundle as one line of JSON.

    The key's hint is base64 of the SHA-256 of its SubjectPublicKeyInfo, as cosign has it.
    """
    hint = _base64(spki_sha256)
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": _base64(payload),
            "payloadType": payload_type,
            "signatures": [{"keyid": "", "sig": _base64(signature)}],
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
