"""What the confined child is asked about evidence, and how much it may answer.

Decides the request, and for every piece of evidence how many bytes may be told of it: in
proportion to the piece, as an honest reader needs them. A child that was taken over while it
read can thereby cost this process little more than the medium itself does. Refuses to know
what the answer says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from ceremony.attest.aids import Aids
from ceremony.attest.gather import Evidence, Format
from ceremony.codec import Json, Malformed, decode, encode
from ceremony.errors import Refused, refuse
from ceremony.ingest import sandbox
from ceremony.ingest.reader import Request, written
from ceremony.ingest.sandbox import RULE, Limits, Listener, Lost
from ceremony.ingest.told import Garbage, check_refusal
from ceremony.policy_model import Policy
from ceremony.types import Finding, Severity

SECONDS = 30.0  # for the start and for few files
SECONDS_OF_A_FILE = 0.02
PATIENCE = 20.0  # seconds one file may take on a busy machine
BATCH = 64  # pieces of evidence that are told at once
BATCH_ROOM = 1 << 20  # bytes that are told at once, of pieces that are not large themselves

WORDS = 1 << 12  # bytes of a line around what is told, and of the rule and text of a reading
TIMES = 4  # what was signed comes as base64, and a name that is not ASCII in JSON's escapes
SEVERAL = (
    16,
    1 << 15,
)  # times and at most: a file of 64 short signatures has as many rules and texts


def room(evidence: Evidence) -> int:
    """Return how many bytes may be told of a piece of evidence."""
    size = len(evidence.file.data)
    # Of a Sigstore bundle what it says is told, and not the place where it stands.
    over = evidence.signed if evidence.format is Format.SIGSTORE else ()
    most = max((len(file.data) for file in over), default=0)
    times, several = SEVERAL
    return WORDS + TIMES * (size + most) + min(times * size, several)


def batches(apart: tuple[Evidence, ...], most: int) -> Iterator[tuple[int, int]]:
    """Yield where each batch ends, and the bytes of its line: `most` pieces, or BATCH_ROOM."""
    pieces = bytes_ = 0
    for number, evidence in enumerate(apart):
        more = room(evidence)
        if pieces and (pieces == most or bytes_ + more > BATCH_ROOM):
            yield number, bytes_
            pieces = bytes_ = 0
        pieces += 1
        bytes_ += more
    if pieces:
        yield len(apart), bytes_


def ask(
    apart: tuple[Evidence, ...], policy: Policy, aids: Aids, most: int, listener: Listener
) -> None:
    """Have a child read the evidence, `most` pieces at once; Lost unless it told of every one."""
    files = dict.fromkeys(file for evidence in apart for file in (evidence.file, *evidence.signed))
    files |= dict.fromkeys(aids.roots)
    numbers = {file: number for number, file in enumerate(files)}
    lines = tuple(batches(apart, most))
    asked: dict[str, Json] = {
        "task": "read",
        "batches": [end for end, _ in lines],
        "evidence": [
            [numbers[one.file], str(one.format), [numbers[file] for file in one.signed]]
            for one in apart
        ],
        "archives": encode(aids.archives),
        "roots": [numbers[file] for file in aids.roots],
        "names": [*aids.names],
    }
    if hashlib.sha256(policy.source).digest() != policy.sha256.value:
        raise refuse(RULE, "the policy is not here as the bytes that the reader needs")
    limits = Limits(
        SECONDS + SECONDS_OF_A_FILE * len(files),
        PATIENCE,
        line=WORDS + max(bytes_ for _, bytes_ in lines),
        reply=sum(WORDS + bytes_ for _, bytes_ in lines),
        bundles=aids.verifier is not None,
    )
    answer = sandbox.run(written(Request(asked, policy.source, tuple(files))), limits, listener)
    if _member(answer.value, "read") != len(apart):
        raise Lost("the reader did not read what it was asked to", -1)


def _member(value: Json, name: str) -> Json:
    """Return the answer's one member, or raise what the child was refused."""
    match value:
        case {"refused": [_, *_] as findings}:
            raise Refused(*(_refusal(finding) for finding in findings))
        case dict() if list(value) == [name]:
            return value[name]
        case _:
            raise refuse(RULE, "the reader's answer has not the shape of one")


def _refusal(told: Json) -> Finding:
    """Return a refusal that was told: of a rule, and in words that may be shown and recorded."""
    try:
        found = decode(Finding, told)
        check_refusal(found.rule, found.text)
    except (Malformed, Garbage):
        raise refuse(RULE, "the reader refused without a finding") from None
    return replace(found, severity=Severity.REFUSE)
