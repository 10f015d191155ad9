"""Replay: recompute every decision of a bundle from its events, without a key and without trust.

Bytes in, one verdict out. Strict lines and chain, the checkpoint, the countersignatures,
the legal order, every decision byte for byte, the signed image rebuilt, every file's digest.

REPRODUCED  all of it holds
DIFFERS     a decision or a file is not what the events before it lead to
FORGED      the chain, the checkpoint, a countersignature or the order does not hold
INCOMPLETE  the close line, the checkpoint, a countersignature or the image is missing
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ceremony import bundle
from ceremony.attest.gather import Reader, read_here
from ceremony.attest.sigstore import EXTRA, Verifier
from ceremony.codec import Json
from ceremony.effects import Buffer
from ceremony.engine import Rules, advance, begin
from ceremony.engine.order import Differs
from ceremony.errors import OutOfOrder, Refused
from ceremony.events import Begun, Decided, Event, MediaRead, Recovered
from ceremony.show import escaped
from ceremony.states import Close, Seal, State
from ceremony.types import Finding, Severity
from transcripts import countersign
from transcripts.checkpoint import Head, origin, read_checkpoint
from transcripts.log import Line, Log, read_log
from transcripts.merkle import Tree


class Verdict(StrEnum):
    """What a replay comes to, the worst first."""

    FORGED = "FORGED"
    DIFFERS = "DIFFERS"
    INCOMPLETE = "INCOMPLETE"
    REPRODUCED = "REPRODUCED"


@dataclass(frozen=True, slots=True)
class Replayed:
    """The verdict, how the ceremony came out, and every finding that led to it.

    `anchors` are what to compare with what is known from elsewhere: a bundle made with
    somebody's own policy and keys is reproduced too.
    """

    verdict: Verdict
    outcome: str
    mode: str
    ceremony: str
    events: int
    head: Head | None
    witnesses: tuple[str, ...]
    needed: int
    findings: tuple[Finding, ...]
    anchors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Fault:
    verdict: Verdict
    finding: Finding


def _fault(verdict: Verdict, rule: str, text: str) -> _Fault:
    return _Fault(verdict, Finding(rule, Severity.REFUSE, text))


def replay(
    files: Mapping[str, Buffer],
    image: Buffer | None = None,
    verifier: Verifier | None = None,
    read: Reader = read_here,
) -> Replayed:
    """Return what the bundle `files` (name to bytes) comes to.

    `image` is the unsigned image where the policy leaves it out of the bundle; `verifier` is
    needed where Sigstore bundles were judged. `read` reads attestations: an auditor does so here.
    """
    log = read_log(bytes(files.get(bundle.TRANSCRIPT, b"")))
    faults = [*_check_log(log), *_check_sums(files)]
    contents = contents_of(log, files, image)
    state, order = _fold(log, Rules(contents, verifier=fitting(log, verifier), read=read))
    faults += order
    named = _named(log)
    other = image is not None and hashlib.sha256(image).hexdigest() not in named
    if other and named & contents.keys():  # else the right one is missing, which was said
        text = "the image that was given is not the one of this ceremony"
        faults.append(_fault(Verdict.DIFFERS, "TRN-IMAGE", text))
    head = _head(log)
    faults += _check_checkpoint(files, head)
    witnesses: tuple[str, ...] = ()
    needed = 0
    if isinstance(state, Close):
        faults += _check_outputs(files, state)
        witnesses, needed, signed = _check_countersignatures(files, state)
        faults += signed
    elif not faults:
        text = f"the transcript stops in the step {state.step}, before its close line"
        faults.append(_fault(Verdict.INCOMPLETE, "TRN-CLOSE", text))
    first = log.lines[0].event if log.lines else None
    return Replayed(
        verdict=_worst(faults),
        outcome=str(state.outcome) if isinstance(state, Close | Seal) else "open",
        mode=str(first.mode) if isinstance(first, Begun) else "",
        ceremony=log.lines[0].ceremony if log.lines else "",
        events=len(log.lines),
        head=head,
        witnesses=witnesses,
        needed=needed,
        findings=tuple(fault.finding for fault in faults),
        anchors=_anchors(state) if isinstance(state, Close) else (),
    )


def _anchors(state: Close) -> tuple[tuple[str, str], ...]:
    signed = [f.sha256 for f in state.files if f.name.endswith(".signed.efi")]
    policy = state.policy.sha256.hex if state.policy else ""
    named = (("policy", policy), ("signed", signed[0] if signed else ""))
    return tuple((name, value) for name, value in named if value)


def _worst(faults: list[_Fault]) -> Verdict:
    found = {fault.verdict for fault in faults}
    return next((verdict for verdict in Verdict if verdict in found), Verdict.REPRODUCED)


def _check_log(log: Log) -> list[_Fault]:
    """TRN-LINE, TRN-CHAIN, TRN-CEREMONY, TRN-TIME, TRN-EVENT over the whole file."""
    if log.fault:
        return [_Fault(Verdict.FORGED, log.fault)]
    if log.torn:
        text = f"{len(log.torn)} bytes stand behind the last whole line"
        return [_fault(Verdict.INCOMPLETE, "TRN-LINE", text)]
    if not log.lines:
        return [_fault(Verdict.INCOMPLETE, "TRN-CLOSE", "there is no transcript here")]
    first = log.lines[0]
    if not isinstance(first.event, Begun) or first.event.ceremony != first.ceremony:
        return [_fault(Verdict.FORGED, "TRN-CEREMONY", "the first line begins another ceremony")]
    return []


def _head(log: Log) -> Head | None:
    if not log.lines or not isinstance(log.lines[0].event, Begun):
        return None
    tree = Tree(log.raw)
    return Head(origin(log.lines[0].ceremony, log.lines[0].event.mode), tree.size, tree.root())


def _check_sums(files: Mapping[str, Buffer]) -> list[_Fault]:
    """TRN-BUNDLE: SHA256SUMS names every file of the bundle, and no other, by its digest."""
    if bundle.SUMS not in files:
        return [_fault(Verdict.INCOMPLETE, "TRN-BUNDLE", "SHA256SUMS is missing")]
    faults = []
    sums = bytes(files[bundle.SUMS])
    wanted = make_sums({name: data for name, data in files.items() if name != bundle.SUMS})
    if sums != wanted:
        listed, found = set(sums.splitlines()), set(wanted.splitlines())
        for line in sorted(listed - found)[:8]:
            name = escaped(line[66:].decode("utf-8", "replace"))
            text = f"{name or 'a line of SHA256SUMS'}: missing, or not the bytes that were listed"
            faults.append(_fault(Verdict.DIFFERS, "TRN-BUNDLE", text))
        for line in sorted(found - listed)[:8]:
            name = escaped(line[66:].decode("utf-8", "replace"))
            text = f"{name}: not listed in SHA256SUMS with these bytes"
            faults.append(_fault(Verdict.DIFFERS, "TRN-BUNDLE", text))
        if not faults:
            text = "SHA256SUMS is not in its one canonical form"
            faults.append(_fault(Verdict.DIFFERS, "TRN-BUNDLE", text))
    return faults


def make_sums(files: Mapping[str, Buffer]) -> bytes:
    """Return the bytes of SHA256SUMS over `files`, by name (GNU coreutils form)."""
    return "".join(
        f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)
    ).encode()


def _named(log: Log) -> set[str]:
    """Return the SHA-256 of every image that the transcript names."""
    read = (line.event for line in log.lines if isinstance(line.event, MediaRead))
    return {event.image.sha256 for event in read if event.image}


def contents_of(
    log: Log, files: Mapping[str, Buffer], image: Buffer | None = None
) -> dict[str, Buffer]:
    """Return the unsigned images that the transcript names, by digest."""
    names = {
        bundle.image_name(line.event.image.path)
        for line in log.lines
        if isinstance(line.event, MediaRead) and line.event.image
    }
    candidates = (image, *(files.get(name) for name in sorted(names)))
    return {hashlib.sha256(c).hexdigest(): c for c in candidates if c is not None}


def _fold(log: Log, rules: Rules) -> tuple[State, list[_Fault]]:
    """TRN-ORDER, TRN-DECISION, TRN-RULESET: every event is legal, every decision the same."""
    state = begin()
    tree = Tree()
    for line, raw in zip(log.lines, log.raw, strict=True):
        try:
            state = advance(state, line.event, rules)
            _check_recovered(line, tree)
            tree.append(raw)
        except Differs as error:
            return state, [_decision_fault(line, error)]
        except OutOfOrder as error:
            return state, [_order_fault(line, str(error))]
        except Refused as error:
            found = error.findings[0]
            verdict = Verdict.INCOMPLETE if found.rule == "TRN-RULESET" else Verdict.FORGED
            return state, [_fault(verdict, found.rule, f"line {line.seq}: {found.text}")]
    return state, []


def _check_recovered(line: Line, tree: Tree) -> None:
    """TRN-ORDER: what a witness compared on resuming are the lines that really were there."""
    event = line.event
    if not isinstance(event, Recovered):
        return
    head = Head("", tree.size, tree.root())
    if (event.lines, event.head) != (head.count, head.spoken):
        raise OutOfOrder("the recovery names other lines or head words than there were")


def fitting(log: Log, verifier: Verifier | None) -> Verifier | None:
    """Return None where the ceremony had nothing that verifies bundles: it is judged alike."""
    return None if any(_lacks_extra(line.event) for line in log.lines) else verifier


def _lacks_extra(event: Event) -> bool:
    """Say whether a decision says of a Sigstore bundle that nothing here verifies it."""
    facts = event.facts if isinstance(event, Decided) and event.name.startswith("judge.") else None
    told = facts.get("dispositions") if isinstance(facts, dict) else None
    listed: list[Json] = told if isinstance(told, list) else []
    return any(isinstance(one, dict) and one.get("text") == EXTRA for one in listed)


def _decision_fault(line: Line, error: Differs) -> _Fault:
    if isinstance(error.expected, Decided) and _lacks_extra(error.expected):
        return _fault(Verdict.INCOMPLETE, "ATT-SIGSTORE", f"line {line.seq}: {EXTRA}")
    text = f"line {line.seq}, {line.event.name}: recomputed and recorded decision differ"
    expected, found = getattr(error.expected, "outcome", ""), getattr(error.found, "outcome", "")
    if expected != found:
        text += f" (recomputed {expected}, recorded {found})"
    return _fault(Verdict.DIFFERS, "TRN-DECISION", text)


def _order_fault(line: Line, said: str) -> _Fault:
    if "the content with SHA-256" in said:
        text = f"line {line.seq}: {said}; give the unsigned image with --image"
        return _fault(Verdict.INCOMPLETE, "TRN-IMAGE", text)
    return _fault(Verdict.FORGED, "TRN-ORDER", f"line {line.seq}: {said}")


def _check_checkpoint(files: Mapping[str, Buffer], head: Head | None) -> list[_Fault]:
    """TRN-CHECKPOINT: it names this ceremony, the number of lines and their root."""
    if bundle.CHECKPOINT not in files:
        return [_fault(Verdict.INCOMPLETE, "TRN-CHECKPOINT", "checkpoint.txt is missing")]
    try:
        stated = read_checkpoint(bytes(files[bundle.CHECKPOINT]))
    except Refused as error:
        return [_Fault(Verdict.FORGED, error.findings[0])]
    if head and stated != head:
        text = (
            f"checkpoint.txt states {stated.count} lines of {escaped(stated.origin, 70)}; "
            f"the transcript has {head.count} lines of {head.origin} with another root"
        )
        return [_fault(Verdict.FORGED, "TRN-CHECKPOINT", text)]
    return []


def _check_outputs(files: Mapping[str, Buffer], state: Close) -> list[_Fault]:
    """TRN-IMAGE, TRN-BUNDLE: what was sealed is what is here, byte for byte."""
    faults = []
    for output in state.files:
        data = files.get(output.name)
        if data is None:
            text = f"{output.name} was written, and is missing here"
            faults.append(_fault(Verdict.INCOMPLETE, "TRN-BUNDLE", text))
        elif hashlib.sha256(data).hexdigest() != output.sha256:
            rule = "TRN-IMAGE" if output.name.endswith(".efi") else "TRN-BUNDLE"
            text = f"{output.name} is not the file that was sealed"
            faults.append(_fault(Verdict.DIFFERS, rule, text))
    sealed = {output.name for output in state.files}
    for name in sorted(files):
        known = name in (*bundle.RESERVED, *sealed) or countersign.is_countersignature(name)
        if not known:
            text = f"{escaped(name)} is no part of this ceremony"
            faults.append(_fault(Verdict.DIFFERS, "TRN-BUNDLE", text))
    return faults


def _check_countersignatures(
    files: Mapping[str, Buffer], state: Close
) -> tuple[tuple[str, ...], int, list[_Fault]]:
    """TRN-COUNTERSIGNATURE: enough distinct persons other than the administrator signed."""
    signatures = {n: bytes(d) for n, d in files.items() if countersign.is_countersignature(n)}
    if state.policy is None:
        text = "there is no policy that names anybody who could have signed this"
        strangers = [_fault(Verdict.FORGED, "TRN-COUNTERSIGNATURE", text)] if signatures else []
        return (), 0, strangers
    checkpoint = bytes(files.get(bundle.CHECKPOINT, b""))
    counted = countersign.count(state.policy, signatures, checkpoint)
    faults = [_Fault(Verdict.FORGED, finding) for finding in counted.findings]
    needed = state.policy.countersignatures.threshold
    if len(counted.witnesses) < needed:
        text = f"{len(counted.witnesses)} of {needed} witnesses signed the checkpoint"
        faults.append(_fault(Verdict.INCOMPLETE, "TRN-COUNTERSIGNATURE", text))
    return counted.witnesses, needed, faults
