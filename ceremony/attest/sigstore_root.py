"""A Sigstore trusted root as it stood when a certificate lived.

Decides which of its authorities and logs count for one bundle: those whose `validFor` covers
the whole life of the bundle's certificate, hence every moment at which it can have signed.
The verifier's package leaves an authority's end out of account and asks the machine's clock
about its beginning; given a root that is cut so, it does neither. Refuses to know whether the
root is the pinned one.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from ceremony.attest import strict_json
from ceremony.attest.strict_json import Json
from ceremony.errors import refuse

RULE = "ATT-ROOT"
MOST_BYTES = 1 << 20
PARTS = ("tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities")
_EVER: dict[str, Json] = {"start": "1970-01-01T00:00:00Z"}
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")


def root_between(trusted_root: bytes, first: datetime, last: datetime) -> bytes:
    """Return the root with only what was valid from `first` to `last`, valid for ever.

    Refused (ATT-ROOT, ATT-JSON): it is no trusted root, or nothing in it was valid then.
    """
    document = strict_json.loads(trusted_root, MOST_BYTES)
    if not isinstance(document, dict):
        raise refuse(RULE, "the trusted root is no JSON object")
    cut: dict[str, Json] = {"mediaType": document.get("mediaType")}
    for part in PARTS:
        entries = document.get(part, [])
        if not isinstance(entries, list):
            raise refuse(RULE, f"the trusted root's {part} is no list")
        found = (_valid(entry, first, last) for entry in entries)
        cut[part] = [entry for entry in found if entry]
        if not cut[part] and part != "timestampAuthorities":
            text = f"none of the trusted root's {part} was valid when the certificate lived"
            raise refuse(RULE, text)
    return json.dumps(cut).encode()


def _valid(entry: Json, first: datetime, last: datetime) -> Json:
    """Return the entry with its validity taken off, None where it does not cover the time."""
    whole = dict(entry) if isinstance(entry, dict) else {}
    key = whole.get("publicKey")
    if isinstance(key, dict):
        period, whole["publicKey"] = key.get("validFor"), {**key, "validFor": dict(_EVER)}
    else:
        period, whole["validFor"] = whole.get("validFor"), dict(_EVER)
    if not isinstance(period, dict):
        raise refuse(RULE, "an entry of the trusted root does not say how long it is valid")
    start, end = _moment(period.get("start")), period.get("end")
    covered = start <= first and (end is None or last <= _moment(end))
    return whole if covered else None


def _moment(value: Json) -> datetime:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except ValueError:
            pass
    raise refuse(RULE, "the trusted root gives a time that is none")
