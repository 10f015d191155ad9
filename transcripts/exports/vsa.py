"""The SLSA verification summary (VSA v1) of a released image, as an in-toto Statement v1.

Source: https://slsa.dev/spec/v1.0/verification_summary. Decides what is claimed: the policy's
quorum and its witnesses, in level names of our own (docs/spec/exports.md), never a SLSA level,
which no ceremony can know. A rehearsal claims that it is one. Refuses to know keys.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from ceremony import bundle
from ceremony.blobs import from_blob
from ceremony.clock import wall_text
from ceremony.errors import refuse
from ceremony.show import escaped
from ceremony.types import Mode
from ceremony.verdicts import Standing
from transcripts.exports.source import RULE, Released, Sealed

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/verification_summary/v1"
URN = "urn:uki-ceremony"
VERIFIER = f"{URN}:verifier"
EVIDENCE = f"{URN}:evidence"  # a member of our own: "field names that are URIs"
LEVELS = "UKI_CEREMONY"
MOST_URI = 512
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!#-;=?-Z\[\]_a-z~]+")  # RFC 3986's characters
_USED = (Standing.COUNTED, Standing.WEAK)


@dataclass(frozen=True, slots=True)
class Names:
    """What the publisher calls things, "" for the names of our own; `tool` made the summary."""

    tool: str
    verifier: str = ""
    resource: str = ""


def payload(source: Sealed, released: Released, names: Names) -> bytes:
    """Return the statement's bytes; TRN-EXPORT for a name that would mislead or is no URI."""
    for uri in (names.verifier, names.resource):
        if uri and not (len(uri) <= MOST_URI and _URI.fullmatch(uri)):
            raise refuse(RULE, f"{escaped(uri, 60)} is no URI of at most {MOST_URI} characters")
    rehearsal = source.mode is not Mode.PRODUCTION
    if rehearsal and names.verifier:
        text = "a rehearsal's summary names the rehearsal as its verifier, and nobody else"
        raise refuse(RULE, text)
    signed = released.signed
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": signed.name, "digest": {"sha256": signed.sha256}}],
        "predicateType": PREDICATE,
        "predicate": _predicate(source, released, names),
    }
    return json.dumps(statement, sort_keys=True, ensure_ascii=True).encode("ascii")


def _predicate(source: Sealed, released: Released, names: Names) -> dict[str, object]:
    policy = released.policy
    predicate: dict[str, object] = {
        "verifier": {
            "id": names.verifier or f"{VERIFIER}:{source.mode}",
            "version": {"uki-ceremony": names.tool, "ruleset": released.begun.ruleset},
        },
        "timeVerified": wall_text(released.judged.session.now),
        "resourceUri": names.resource or f"{URN}:image:{policy.policy_id}/{released.signed.name}",
        "policy": {
            "uri": f"{URN}:policy:{policy.policy_id}:{policy.sequence}",
            "digest": {"sha256": policy.sha256.hex},
        },
        "verificationResult": "PASSED",
        "verifiedLevels": [*levels(source, released)],
        EVIDENCE: _evidence(source, released),
    }
    if used := _attestations(released):
        predicate["inputAttestations"] = used
    return predicate


def levels(source: Sealed, released: Released) -> tuple[str, ...]:
    """Return what was verified, one name a track."""
    if source.mode is not Mode.PRODUCTION:
        return (f"{LEVELS}_REHEARSAL",)
    policy, verdict = released.policy, released.judged.approved.verdict
    quorum = "OVERRIDDEN" if verdict.operators else f"QUORUM_{policy.quorum.threshold}"
    return (
        f"{LEVELS}_{quorum}",
        f"{LEVELS}_WITNESSES_{policy.countersignatures.threshold}",
    )


def _attestations(released: Released) -> list[dict[str, object]]:
    """Return the attestations that counted.

    "If non-empty, this field MUST contain information on all the attestations used": where
    the verdict rests on more than the image's own votes there are none.
    """
    verdict = released.judged.approved.verdict
    if verdict.operators or verdict.components:
        return []
    files = tuple(from_blob(blob) for blob in released.judged.taken.media.files)
    places = bundle.medium_names(files)
    counted = {each.file for each in verdict.dispositions if each.disposition in _USED}
    uri = f"{URN}:bundle:{released.begun.ceremony}"
    return [
        {
            "uri": f"{uri}/{places[file.path]}",
            "digest": {"sha256": hashlib.sha256(file.data).hexdigest()},
        }
        for file in sorted(files, key=lambda file: file.path)
        if file.path in counted
    ]


def _evidence(source: Sealed, released: Released) -> dict[str, object]:
    """Return what leads from the summary to the bundle that it sums up."""
    verdict = released.judged.approved.verdict
    taken = released.judged.taken.image
    return {
        "ceremony": released.begun.ceremony,
        "mode": str(source.mode),
        "checkpoint": source.checkpoint.decode("ascii"),
        "unsigned": {"name": bundle.image_name(taken.path), "digest": {"sha256": taken.sha256}},
        "votes": verdict.votes,
        "witnesses": [*source.witnesses],
    }
