"""An image that is not here: what the record says of it is believed, all else is judged.

For a replay without the unsigned image. The recorded results of what only its bytes tell (its
facts, digests beyond SHA-256, the signed file) stand in for the work, as far as they have the
form of such results and are about this very image; what follows from them is recomputed.
While a ceremony is held nothing is believed. It refuses to know why the image is not here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from ceremony.codec import Json, Malformed, decode, encode
from ceremony.engine.chain import RULE as CHAIN
from ceremony.engine.rules import Rules
from ceremony.errors import Refused
from ceremony.events import Decided, ManifestEntry, Outcome
from ceremony.pe.attach import Signed
from ceremony.pe.sign import SigningPlan
from ceremony.pe.sign import encode as encode_cms
from ceremony.pe.uki import NOTHING
from ceremony.policy import Policy
from ceremony.types import Digest, DigestKind, Finding, ImageFacts, refusals
from ceremony.verdicts import Judgement, Verdict

UNKNOWN = "0" * 64
OUTER = "SIG-OUTER"

T = TypeVar("T")


def facts(image: ManifestEntry, rules: Rules) -> ImageFacts:
    """Return the facts that the record gives of this image."""
    told = rules.told("inspect.verdict")
    digest = Digest.from_hex(DigestKind.FILE_SHA256, image.sha256)
    nothing = ImageFacts(image.size, digest, None, "", (), (), NOTHING, ())
    read = _read(ImageFacts, told, nothing)
    portable = (read.authenticode, *(one.authenticode for one in read.signatures))
    plain = [digest for s in read.sections for digest in (s.sha256, s.content)]
    if not all(d is None or d.kind is DigestKind.AUTHENTICODE_SHA256 for d in portable):
        return nothing
    if not all(d.kind is DigestKind.FILE_SHA256 for d in (*plain, *read.unsigned)):
        return nothing
    return replace(read, size=image.size, sha256=digest)


def verdict(policy: Policy, path: str, image: ImageFacts, rules: Rules) -> Verdict:
    """Return the recorded verdict about this image, without what the chain adds to it."""
    told = rules.told("judge.verdict")
    nothing = Verdict(
        Judgement.REFUSE, policy.sha256, path, image.sha256, (), 0, 0, (), (), (), ()
    )  # fmt: skip
    read = _read(Verdict, told, nothing)
    said = read.findings
    return replace(
        read,
        policy_sha256=policy.sha256,
        image_name=path,
        image_sha256=image.sha256,
        findings=said[:-1] if said and said[-1].rule == CHAIN else said,
    )


def verified(plan: SigningPlan, signature: bytes, rules: Rules) -> tuple[Signed, Decided | None]:
    """Return the signed image as the record has it, and the decision if it was refused.

    `signature` is a good one over `plan`: the PKCS#7 follows from both, size and digest are
    believed. Raises Refused (SIG-) where no PKCS#7 can be made of them.
    """
    told = rules.told("verify.verdict")
    stops = told is not None and told.outcome is Outcome.REFUSED and refusals(told.findings)
    refused = told if stops else None
    members = told.facts if told and isinstance(told.facts, dict) else {}
    size, digits = members.get("size"), members.get("sha256")
    try:
        digest = Digest.from_hex(DigestKind.FILE_SHA256, digits if isinstance(digits, str) else "")
    except (TypeError, ValueError):
        digest = Digest.from_hex(DigestKind.FILE_SHA256, UNKNOWN)
    cms = encode_cms(plan, signature)
    return Signed(cms, size if type(size) is int else 0, digest, ()), refused


def warned(image: ImageFacts) -> tuple[Finding, ...]:
    """Return what verifying the signed image says again of the signatures that were there before.

    SIG-OUTER alone does not refuse; an entry is appended, so those before it stand where they were.
    """
    return tuple(finding for finding in image.findings if finding.rule == OUTER)


def _read(kind: type[T], told: Decided | None, nothing: T) -> T:
    """Return the recorded facts, or `nothing` where the record has none of this form."""
    members: Json = told.facts if told else None
    try:
        read = decode(kind, members)
    except (Malformed, Refused):
        return nothing
    return read if encode(read) == members else nothing
