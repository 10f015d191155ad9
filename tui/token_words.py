"""What is put before people about a module, its tokens, and what preflight says of each key.

Decides wording and the members of the JSON object only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ceremony.codec import Json, encode
from ceremony.key_attestation import Attested
from ceremony.pin_parts import TRIES_SAID
from ceremony.rules.register import lookup
from ceremony.show import escaped, grouped
from ceremony.token import TokenEvidence
from ceremony.types import Finding, Severity, refusals
from hsm.present import Shown, ShownObject, ShownToken
from tui.commands.findings import findings_json

UNATTESTED = Attested("asserted by module")
USED = ("CKM_RSA_PKCS", "CKM_ECDSA")  # what a ceremony signs with


@dataclass(frozen=True, slots=True)
class Judged:
    """What preflight says of one certificate's key: by `subject`, in `evidence` if probed."""

    subject: str
    certificate_sha256: str
    evidence: TokenEvidence | None
    findings: tuple[Finding, ...]
    attested: Attested = UNATTESTED

    @property
    def refused(self) -> bool:
        """Say whether a ceremony would refuse this key before any PIN."""
        return bool(refusals(self.findings))


Looked = tuple[tuple[ShownToken, tuple[Judged, ...]], ...]


def lines(shown: Shown, looked: Looked) -> Iterator[str]:
    """Yield the report, a line each."""
    yield f"Module        {escaped(shown.module_path)}"
    yield f"  SHA-256     {grouped(shown.module_sha256[:32])}"
    yield f"              {grouped(shown.module_sha256[32:])}"
    yield f"  library     {shown.library_description} {shown.library_version}"
    yield f"  maker       {shown.library_manufacturer}, Cryptoki {shown.cryptoki}"
    yield f"  sandbox     {shown.sandbox}"
    for token, judged in looked:
        yield ""
        yield from _token(token)
        for each in judged:
            yield from judged_lines(each)
        if not judged and not token.fault:
            yield "  preflight   no certificate here; name one with --cert or --policy"


def _token(token: ShownToken) -> Iterator[str]:
    if token.fault:
        yield f"Slot {token.slot_id}  {token.label or token.slot or 'no label'}: {token.fault}"
        return
    yield f"Token         {token.label}, serial {token.serial or 'none'}"
    yield f"  model       {token.model}, {token.manufacturer}"
    yield f"  slot        {token.slot_id}, {token.slot}"
    yield f"  PIN         {TRIES_SAID[token.pin_state]}"
    if token.protected_path:
        yield "              typed on the token's own reader"
    yield f"  flags       {' '.join(token.flags) or 'none'}"
    used = [name for name in USED if name in token.mechanisms]
    others = len(token.mechanisms) - len(used)
    yield f"  mechanisms  {' '.join(used) or 'none that a ceremony uses'}, and {others} others"
    yield f"  URI         {token.uri}"
    for one in token.objects:
        yield f"  {one.found_as:<12}{_object(one)}"
    if not token.objects:
        yield "  objects     none is shown before login"


def _object(one: ShownObject) -> str:
    size = f" {one.bits}" if one.bits else ""
    kind = f", {one.key_type}{size}" if one.key_type else f", {len(one.certificate)} bytes"
    return f"{one.label or '(no label)'}, id {one.id or 'none'}{kind}"


def judged_lines(judged: Judged) -> Iterator[str]:
    """Yield what preflight says of one key, a line each."""
    verdict = "WOULD BE REFUSED" if judged.refused else "would be taken"
    yield f"  preflight   {judged.subject}: {verdict}"
    yield from _birth(judged.attested)
    for finding in judged.findings:
        rule = lookup(finding.rule)
        yield f"    {finding.severity:<7} {finding.rule}: {finding.text}"
        if rule and finding.severity is Severity.REFUSE:
            yield f"            next: {rule.next}"


def _birth(attested: Attested) -> Iterator[str]:
    """Yield what is known of where the key was made, if anything is."""
    if attested.device or attested.files:
        yield f"    grade   {attested.grade}"
    if attested.device:
        yield f"    device  {attested.device}"
    for name, text in attested.facts:
        yield f"            {name} {text}"
    if attested.root:
        yield f"    root    {attested.root}"
    for file in attested.files:
        yield f"    file    {file.path}: {'read' if file.verified else 'unverified, kept'}"


def as_json(shown: Shown, looked: Looked) -> Json:
    """Return the object that docs/spec/json.md describes."""
    return {
        "module": {
            "path": escaped(shown.module_path),
            "sha256": shown.module_sha256,
            "manufacturer": shown.library_manufacturer,
            "description": shown.library_description,
            "version": shown.library_version,
            "cryptoki": shown.cryptoki,
            "sandbox": shown.sandbox,
        },
        "tokens": [_token_json(token, judged) for token, judged in looked],
        "verdict": verdict(looked),
    }


def verdict(looked: Looked) -> str:
    """Return "ok" where a ceremony would take a key before its PIN, else "refused".

    Where no certificate was given and none lies on a token it is "unjudged".
    """
    judged = [each for _, several in looked for each in several]
    if not judged:
        return "unjudged"
    return "refused" if all(each.refused for each in judged) else "ok"


def _token_json(token: ShownToken, judged: tuple[Judged, ...]) -> Json:
    return {
        "slot_id": token.slot_id,
        "slot": token.slot,
        "fault": token.fault,
        "label": token.label,
        "serial": token.serial,
        "model": token.model,
        "manufacturer": token.manufacturer,
        "uri": token.uri,
        "flags": [*token.flags],
        "mechanisms": [*token.mechanisms],
        "pin_state": token.pin_state,
        "protected_path": token.protected_path,
        "objects": [
            {
                "found_as": one.found_as,
                "label": one.label,
                "id": one.id,
                "key_type": one.key_type,
                "bits": one.bits,
            }
            for one in token.objects
        ],
        "preflight": [_judged_json(each) for each in judged],
    }


def _judged_json(judged: Judged) -> Json:
    seen = judged.evidence
    return {
        "subject": judged.subject,
        "certificate_sha256": judged.certificate_sha256,
        "spki_sha256": seen.keys[0].spki_sha256 if seen and seen.keys else None,
        "attributes": [
            {"name": name, "value": value}
            for key in (seen.keys if seen else ())
            for name, value in key.attributes
        ],
        "libraries": [
            {"path": path, "sha256": digest} for path, digest in (seen.libraries if seen else ())
        ],
        "attestation": encode(judged.attested),
        "verdict": "refused" if judged.refused else "ok",
        "findings": findings_json(judged.findings),
    }
