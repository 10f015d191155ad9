"""DSSE envelopes (secure-systems-lab/dsse 1.0): {"payload", "payloadType", "signatures"}.

    PAE = "DSSEv1" SP len(type) SP type SP len(payload) SP payload       lengths in bytes

Decides whether bytes are an envelope and what its signatures are over. A keyid is only a
hint and is never trusted. Refuses to know whose keys there are and what the payload says.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from ceremony.attest import strict_json
from ceremony.attest.strict_base64 import decoded_either
from ceremony.errors import refuse

RULE = "ATT-DSSE"
MOST_BYTES = 4 << 20
MOST_SIGNATURES = 16
MOST_SIGNATURE_BYTES = 4096
IN_TOTO = "application/vnd.in-toto+json"
NAMES = (".dsse", ".dsse.json", ".intoto", ".intoto.json", ".dsse.sig")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope; signatures are (keyid hint, raw signature)."""

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]


def looks_like_dsse(path: str, data: bytes) -> bool:
    """Say whether the file is a JSON object with a payloadType, or is named as an envelope."""
    is_object = data[:64].lstrip(b" \t\r\n").startswith(b"{")
    return is_object and (b'"payloadType"' in data or path.endswith(NAMES))


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding, which is what gets signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_envelope(data: bytes) -> Envelope:
    """Read an envelope strictly; Refused (ATT-DSSE, ATT-JSON) says what is wrong."""
    document = strict_json.loads(data, MOST_BYTES)
    match document:
        case {"payload": str(payload), "payloadType": str(kind), "signatures": list(entries)}:
            pass
        case _:
            raise refuse(RULE, "payload, payloadType or signatures is missing or of a wrong type")
    if not 0 < len(entries) <= MOST_SIGNATURES:
        raise refuse(RULE, f"an envelope has 1 to {MOST_SIGNATURES} signatures")
    signatures = tuple(_signature(entry) for entry in entries)
    return Envelope(kind, decoded_either(payload, RULE), signatures)


def _signature(entry: strict_json.Json) -> tuple[str, bytes]:
    members = entry if isinstance(entry, dict) else {}
    text, hint = members.get("sig"), members.get("keyid")
    if not isinstance(text, str):
        raise refuse(RULE, "a signature has no sig")
    raw = decoded_either(text, RULE)
    if not 0 < len(raw) <= MOST_SIGNATURE_BYTES:
        raise refuse(RULE, f"a signature has 1 to {MOST_SIGNATURE_BYTES} bytes")
    return hint if isinstance(hint, str) else "", raw


def write_envelope(
    payload_type: str, payload: bytes, signatures: tuple[tuple[str, bytes], ...]
) -> bytes:
    """Return an envelope of (keyid hint, raw signature over `pae`) as one line of JSON."""
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [
            {"keyid": hint, "sig": base64.b64encode(raw).decode()} for hint, raw in signatures
        ],
    }
    return json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode() + b"\n"
