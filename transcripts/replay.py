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
from dataclasses import dataclass, replace

from ceremony import bundle
from ceremony.attest.gather import Reader, read_here
from ceremony.attest.sigstore import EXTRA, Verifier
from ceremony.codec import Json
from ceremony.effects import Buffer
from ceremony.engine import RULESET, Rules
from ceremony.engine.order import Differs
from ceremony.errors import OutOfOrder, Refused
from ceremony.events import Begun, Decided, Event, Intended, MediaRead, Recovered
from ceremony.known import policy_of
from ceremony.states import Close, Seal, State
from ceremony.turns import in_turn
from ceremony.types import Finding
from transcripts import differing, rulesets, sealed, threads
from transcripts.checkpoint import Head, origin
from transcripts.faults import Difference, Fault, Verdict, fault, worst
from transcripts.log import Line, Log, read_log
from transcripts.merkle import Tree
from transcripts.sealed import make_sums

__all__ = ["Difference", "Replayed", "Verdict", "contents_of", "make_sums", "replay"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The verdict, how the ceremony came out, and every finding that led to it.

    `anchors` are what to compare with what is known from elsewhere: a bundle made with
    somebody's own policy and keys is reproduced too. `first` is the first event that differs.
    `previous` is the head of the ceremony before, "" where the first line names none.
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
    first: Difference | None = None
    previous: str = ""


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
    files, left = sealed.without_left_over(files)
    transcript = bytes(files.get(bundle.TRANSCRIPT, b""))
    digests = threads.digests(files)
    sums = [*left, *sealed.check_sums(files, digests)]
    if text := rulesets.unknown(transcript):
        return _not_judged([fault(Verdict.INCOMPLETE, "TRN-RULESET", text), *sums])
    log = read_log(transcript)
    faults = [*_check_log(log), *sums]
    contents = _contents(log, files, digests, image)
    tree = Tree()
    state, order = _fold(log, replace(_rules(log, contents, verifier), read=read), tree)
    faults += order
    faults += _check_given(log, contents, image)
    head = _head(log, tree)
    faults += sealed.check_checkpoint(files, head)
    if not (isinstance(state, Close) or faults):
        text = f"the transcript stops in the step {state.step}, before its close line"
        faults.append(fault(Verdict.INCOMPLETE, "TRN-CLOSE", text))
    stated = state.files if isinstance(state, Close) else sealed.stated_outputs(log.lines)
    if stated is not None:
        faults += sealed.check_outputs(files, digests, stated)
    witnesses, needed, signed = sealed.check_countersignatures(
        files, policy_of(state), closed=isinstance(state, Close)
    )
    faults += signed
    first = log.lines[0].event if log.lines else None
    return Replayed(
        verdict=worst(faults),
        outcome=str(state.outcome) if isinstance(state, Close | Seal) else "open",
        mode=str(first.mode) if isinstance(first, Begun) else "",
        ceremony=log.lines[0].ceremony if log.lines else "",
        events=len(log.lines),
        head=head,
        witnesses=witnesses,
        needed=needed,
        findings=tuple(fault.finding for fault in faults),
        anchors=_anchors(log, state) if isinstance(state, Close) else (),
        previous=(first.previous_head or "") if isinstance(first, Begun) else "",
        first=next((fault.difference for fault in faults if fault.difference), None),
    )


def _not_judged(faults: list[Fault]) -> Replayed:
    findings = tuple(fault.finding for fault in faults)
    return Replayed(worst(faults), "open", "", "", 0, None, (), 0, findings)


def _anchors(log: Log, state: Close) -> tuple[tuple[str, str], ...]:
    intents = [line.event for line in log.lines if isinstance(line.event, Intended)]
    attempts = f"{len(intents)}, of one plan" if len(intents) > 1 else ""
    if attempts and intents[-1].mechanism == "CKM_ECDSA":
        attempts += f"; up to {len(intents)} different signatures may exist"
    signed = [f.sha256 for f in state.files if f.name.endswith(".signed.efi")]
    policy = state.policy.sha256.hex if state.policy else ""
    last = signed[0] if signed else ""
    named = (("policy", policy), ("signed", last), ("attempts", attempts))
    return tuple((name, value) for name, value in named if value)


def _check_log(log: Log) -> list[Fault]:
    """TRN-LINE, TRN-CHAIN, TRN-CEREMONY, TRN-TIME, TRN-EVENT over the whole file."""
    if log.fault:
        place = len(log.lines)
        return [Fault(Verdict.FORGED, log.fault, differing.of_line(place, log.fault))]
    if log.torn:
        text = f"{len(log.torn)} bytes stand behind the last whole line"
        return [fault(Verdict.INCOMPLETE, "TRN-LINE", text)]
    if not log.lines:
        return [fault(Verdict.INCOMPLETE, "TRN-CLOSE", "there is no transcript here")]
    first = log.lines[0]
    if not isinstance(first.event, Begun) or first.event.ceremony != first.ceremony:
        return [fault(Verdict.FORGED, "TRN-CEREMONY", "the first line begins another ceremony")]
    return []


def _head(log: Log, tree: Tree) -> Head | None:
    if not log.lines or not isinstance(log.lines[0].event, Begun):
        return None
    _grow(tree, log, len(log.raw))
    return Head(origin(log.lines[0].ceremony, log.lines[0].event.mode), tree.size, tree.root())


def _check_given(log: Log, contents: Mapping[str, Buffer], image: Buffer | None) -> list[Fault]:
    """TRN-IMAGE: the image that was given is one that the transcript names."""
    if image is None:
        return []
    read = (line.event for line in log.lines if isinstance(line.event, MediaRead))
    named = {event.image.sha256 for event in read if event.image}
    given = next((sha256 for sha256, content in contents.items() if content == image), "")
    if given in named or not named & contents.keys():  # else the right one is missing, as was said
        return []
    text = "the image that was given is not the one of this ceremony"
    return [fault(Verdict.DIFFERS, "TRN-IMAGE", text)]


def contents_of(
    log: Log, files: Mapping[str, Buffer], image: Buffer | None = None
) -> dict[str, Buffer]:
    """Return the unsigned images that the transcript names, by digest."""
    return _contents(log, files, threads.digests(files), image)


def _contents(
    log: Log, files: Mapping[str, Buffer], digests: Mapping[str, str], image: Buffer | None
) -> dict[str, Buffer]:
    names = {
        bundle.image_name(line.event.image.path)
        for line in log.lines
        if isinstance(line.event, MediaRead) and line.event.image
    }
    given = {hashlib.sha256(image).hexdigest(): image} if image is not None else {}
    return given | {digests[name]: files[name] for name in sorted(names & files.keys())}


def _rules(log: Log, contents: Mapping[str, Buffer], verifier: Verifier | None) -> Rules:
    """Return the rules of the set that the first line names."""
    first = log.lines[0].event if log.lines else None
    version = first.ruleset if isinstance(first, Begun) else RULESET
    large = any(len(content) > threads.WORTH_IT for content in contents.values())
    run = threads.at_once if large else in_turn
    return Rules(contents, version, fitting(log, verifier), run=run, hashed=True)


def _grow(tree: Tree, log: Log, size: int) -> None:
    """Let the tree over the first lines grow to `size` of them: every line is hashed once."""
    for at in range(tree.size, size):
        tree.append(log.raw[at])


def _fold(log: Log, rules: Rules, tree: Tree) -> tuple[State, list[Fault]]:
    """TRN-ORDER, TRN-DECISION, TRN-RULESET: every event is legal, every decision the same."""
    engine = rulesets.carried(rules.version)
    state = engine.begin()
    for line in log.lines:
        try:
            if isinstance(line.event, Recovered):
                _grow(tree, log, line.seq)
                _check_recovered(line.event, tree)
            state = engine.advance(state, line.event, rules)
        except Differs as error:
            return state, [_decision_fault(line, error)]
        except OutOfOrder as error:
            return state, [_order_fault(line, state, rules, error)]
        except Refused as error:
            found = error.findings[0]
            verdict = Verdict.INCOMPLETE if found.rule == "TRN-RULESET" else Verdict.FORGED
            return state, [fault(verdict, found.rule, f"event {line.seq + 1}: {found.text}")]
    return state, []


def _check_recovered(event: Recovered, tree: Tree) -> None:
    """TRN-ORDER: what a witness compared on resuming are the lines that really were there."""
    really = replace(event, lines=tree.size, head=Head("", tree.size, tree.root()).spoken)
    if really != event:
        raise Differs(really, event)


def fitting(log: Log, verifier: Verifier | None) -> Verifier | None:
    """Return None where the ceremony had nothing that verifies bundles: it is judged alike."""
    return None if any(_lacks_extra(line.event) for line in log.lines) else verifier


def _lacks_extra(event: Event) -> bool:
    """Say whether a decision says of a Sigstore bundle that nothing here verifies it."""
    facts = event.facts if isinstance(event, Decided) and event.name.startswith("judge.") else None
    told = facts.get("dispositions") if isinstance(facts, dict) else None
    listed: list[Json] = told if isinstance(told, list) else []
    return any(isinstance(one, dict) and one.get("text") == EXTRA for one in listed)


def _decision_fault(line: Line, error: Differs) -> Fault:
    """Name the first member that differs, and both its values."""
    if isinstance(error.expected, Decided) and _lacks_extra(error.expected):
        return fault(Verdict.INCOMPLETE, "ATT-SIGSTORE", f"event {line.seq + 1}: {EXTRA}")
    forged = isinstance(line.event, Recovered)  # no decision: lines were taken out or put in
    rule = "TRN-ORDER" if forged else "TRN-DECISION"
    at = differing.of_decision(line, rule, error)
    said = f"{at.path} recomputed {at.expected}, recorded {at.found}"
    text = f"event {at.line + 1}, {at.event}: {said}"
    verdict = Verdict.FORGED if forged else Verdict.DIFFERS
    return replace(fault(verdict, rule, text), difference=at)


def _order_fault(line: Line, state: State, rules: Rules, error: OutOfOrder) -> Fault:
    said = str(error)
    if "the content with SHA-256" in said:
        text = f"event {line.seq + 1}: {said}; give the unsigned image with --image"
        return fault(Verdict.INCOMPLETE, "TRN-IMAGE", text)
    at = differing.of_order(line, state, rules, error)
    text = f"event {at.line + 1}, {at.event}: {said}; awaited: {at.expected}"
    return replace(fault(Verdict.FORGED, "TRN-ORDER", text), difference=at)
