"""ingest: one medium is copied into memory once, and never read again."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TypeAlias, assert_never

from ceremony.artifact_names import fits
from ceremony.blobs import from_blob
from ceremony.codec import Json
from ceremony.effects import Ask, Effect, ReadMedia, Record
from ceremony.engine import inspect
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import Rules
from ceremony.errors import OutOfOrder
from ceremony.events import Ack, Decided, Event, MediaFailed, MediaRead, Outcome
from ceremony.policy import Policy
from ceremony.questions import Form, Question
from ceremony.show import counted, escaped, grouped
from ceremony.states import Ingest, State, Taken
from ceremony.types import Finding, MediaFile, Severity, refusals

IngestEvent: TypeAlias = MediaRead | MediaFailed | Ack | Decided


def wants(state: Ingest) -> Effect:
    """Return what ingest does next."""
    if state.pending:
        return Record(state.pending)
    if state.failed or state.decided:
        return Ask(_question(state))
    artifact = state.session.policy.artifact
    return ReadMedia(artifact.names, artifact.max_bytes)


def absorb(state: Ingest, event: Event, rules: Rules) -> State:
    """Return the state after one event of this step."""
    if not isinstance(event, IngestEvent):
        raise OutOfStep(state, event)
    match event:
        case MediaRead() if not (state.media or state.failed):
            return replace(state, media=event, pending=_judge(state.session.policy, event))
        case MediaFailed() if not (state.media or state.failed):
            return replace(state, failed=event)
        case Decided() if state.pending:
            expect_same(state.pending, event)
            return replace(state, pending=None, decided=event)
        case Ack() if not state.pending and (state.failed or state.decided):
            expect_ack(event, _question(state))
            return _go_on(state, rules)
        case MediaRead() | MediaFailed() | Decided() | Ack():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _go_on(state: Ingest, rules: Rules) -> State:
    if state.failed or state.decided is None or state.decided.outcome is not Outcome.OK:
        return Ingest(state.session)
    if state.media is None or state.media.image is None:
        raise OutOfOrder("nothing was taken in")
    return inspect.enter(state.session, Taken(state.media, state.media.image), rules)


def _judge(policy: Policy, media: MediaRead) -> Decided:
    """MED-: exactly one image, under its cap, the same bytes when hashed a second time."""
    findings = list(media.problems)
    image = media.image
    named = [entry for entry in media.manifest if fits(policy.artifact.names, entry.path)]
    if image is None or len(named) != 1 or named[0] != image:
        wanted = " or ".join(escaped(name) for name in policy.artifact.names)
        findings.append(
            Finding("MED-IMAGE", Severity.REFUSE, f"{len(named)} files named {wanted} were found")
        )
    elif image.size > policy.artifact.max_bytes:
        findings.append(
            Finding("MED-SIZE", Severity.REFUSE, f"the image has {counted(image.size)}")
        )
    elif image.sha256 != media.image_again:
        findings.append(
            Finding("MED-CHANGED", Severity.REFUSE, "the copy in memory hashes differently")
        )
    kept = sorted(_entry(from_blob(blob)) for blob in media.files)
    listed = sorted((e.path, e.size, e.sha256) for e in media.manifest if e != image)
    if kept != listed:
        findings.append(
            Finding("MED-CHANGED", Severity.REFUSE, "the manifest does not list the files kept")
        )
    paths = [entry.path.encode("utf-8", "surrogateescape") for entry in media.manifest]
    if paths != sorted(set(paths)):
        findings.append(Finding("MED-CHANGED", Severity.REFUSE, "the manifest names a path twice"))
    outcome = Outcome.REFUSED if refusals(tuple(findings)) else Outcome.OK
    facts: Json = {"files": len(media.manifest), "kept": len(media.files)}
    return Decided("ingest.verdict", outcome, tuple(findings), facts)


def _entry(file: MediaFile) -> tuple[str, int, str]:
    return file.path, len(file.data), hashlib.sha256(file.data).hexdigest()


def _question(state: Ingest) -> Question:
    roles = state.session.policy.roles
    if state.media and state.decided and state.decided.outcome is Outcome.OK:
        return Question(
            name="ingest.removed",
            role="administrator",
            persons=(roles.administrator,),
            shown=_taken_lines(state.media),
            prompt="Take the medium out, then type REMOVED",
            form=Form.CONFIRM,
            word="REMOVED",
        )
    findings = state.decided.findings if state.decided else ()
    shown = tuple(f"{f.severity:<6} {f.rule}: {f.text}" for f in findings)
    if state.failed:
        shown = (f"{state.failed.rule}: {state.failed.text}",)
    return Question(
        name="ingest.again",
        role="administrator",
        persons=(roles.administrator,),
        shown=(*shown, "Nothing of this medium is used. Put a good one in, or abort."),
        prompt="Type READ to read the medium again",
        form=Form.CONFIRM,
        word="READ",
    )


def _taken_lines(media: MediaRead) -> tuple[str, ...]:
    image = media.image
    if image is None:
        return ()
    return (
        f"Image    {escaped(image.path, 50)}, {counted(image.size)}",
        f"SHA-256  {grouped(image.sha256[:32])}",
        f"         {grouped(image.sha256[32:])}",
        f"Manifest {len(media.manifest)} files, {len(media.files)} of them kept as attestations",
        *(f"{p.severity:<6} {p.rule}: {p.text}" for p in media.problems),
        "The copy in memory is what is judged and signed; the medium is not read again.",
    )
