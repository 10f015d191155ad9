"""Replay: recompute every decision of a bundle from its events, without a key and without trust.

Bytes in, one verdict out. Strict lines and chain, the checkpoint, the countersignatures,
the legal order, every decision byte for byte, the signed image rebuilt, every file's digest.

REPRODUCED  all of it holds
DIFFERS     a decision or a file is not what the events before it lead to
FORGED      the chain, the checkpoint, a countersignature or the order does not hold
INCOMPLETE  the close line, the checkpoint, a countersignature or the image is missing
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ceremony import bundle
from ceremony.attest.gather import Reader, read_here
from ceremony.attest.sigstore import EXTRA, Verifier
from ceremony.codec import Json
from ceremony.content import Stored, octets_of
from ceremony.engine import RULESET, Rules
from ceremony.engine.order import Differs
from ceremony.engine.rules import NotHere
from ceremony.errors import CeremonyError, OutOfOrder, Refused
from ceremony.events import Ack, Begun, Decided, Event, Intended, Recovered
from ceremony.known import policy_of
from ceremony.states import Close, Inspect, Seal, State
from ceremony.turns import in_turn
from ceremony.types import Finding
from transcripts import differing, rulesets, sealed, threads, unsigned
from transcripts.checkpoint import Head, origin
from transcripts.faults import Difference, Fault, Verdict, fault, worst
from transcripts.log import Line, Log, read_log
from transcripts.merkle import Tree
from transcripts.sealed import make_sums
from transcripts.unsigned import Unseen, contents_of

__all__ = ["Difference", "Replayed", "Verdict", "contents_of", "make_sums", "replay"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The verdict, how the ceremony came out, and every finding that led to it.

    `anchors` are what to compare with what is known from elsewhere: a bundle made with
    somebody's own policy and keys is reproduced too. `first` is the first event that differs.
    `previous` is the head of the ceremony before, "" where the first line names none; `policy`
    is the id of the policy, "" where none was read.
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
    policy: str = ""


def replay(
    files: Mapping[str, Stored],
    image: Stored | None = None,
    verifier: Verifier | None = None,
    read: Reader = read_here,
) -> Replayed:
    """Return what the bundle `files` (name to bytes) comes to.

    `image` is the unsigned image where the policy leaves it out of the bundle; `verifier` is
    needed where Sigstore bundles were judged. `read` reads attestations: an auditor does so here.
    """
    files, left = sealed.without_left_over(files)
    transcript = octets_of(files.get(bundle.TRANSCRIPT, b""))
    digests = threads.digests(files)
    sums = sealed.check_sums(files, digests)
    if text := rulesets.unknown(transcript):
        return _not_judged([fault(Verdict.INCOMPLETE, "TRN-RULESET", text), *left, *sums])
    log = read_log(transcript)
    contents = unsigned.contents(log, files, digests, image)
    tree = Tree()
    folded = _fold(log, replace(_rules(log, contents, verifier), read=read), tree)
    state, head = folded.state, _head(log, tree)
    stated = state.files if isinstance(state, Close) else sealed.stated_outputs(log.lines)
    outputs = [] if stated is None else sealed.check_outputs(files, digests, stated)
    faults = [*_check_log(log), *left, *sums, *folded.faults]
    faults += sealed.check_checkpoint(files, head)
    if not (isinstance(state, Close) or faults):
        text = f"the transcript stops in the step {state.step}, before its close line"
        faults.append(fault(Verdict.INCOMPLETE, "TRN-CLOSE", text))
    faults = sealed.once(
        [*unsigned.check_image(log, contents, image, folded.unseen), *faults], outputs
    )
    policy = policy_of(state)
    witnesses, needed, signed = sealed.check_countersignatures(
        files, policy, closed=isinstance(state, Close)
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
        policy=policy.policy_id if policy else "",
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


def _rules(log: Log, contents: Mapping[str, Stored], verifier: Verifier | None) -> Rules:
    """Return the rules of the set that the first line names."""
    first = log.lines[0].event if log.lines else None
    version = first.ruleset if isinstance(first, Begun) else RULESET
    large = any(len(content) > threads.WORTH_IT for content in contents.values())
    run = threads.at_once if large else in_turn
    decided = [line.event for line in reversed(log.lines) if isinstance(line.event, Decided)]
    told = {event.name: event for event in decided}  # the first of each name
    return Rules(contents, version, fitting(log, verifier), run=run, hashed=True, recorded=told)


def _grow(tree: Tree, log: Log, size: int) -> None:
    """Let the tree over the first lines grow to `size` of them: every line is hashed once."""
    for at in range(tree.size, size):
        tree.append(log.raw[at])


@dataclass(frozen=True, slots=True)
class Folded:
    """How far the events lead, where an image was wanting, and what did not hold."""

    state: State
    unseen: Unseen | None
    faults: tuple[Fault, ...]


def _fold(log: Log, rules: Rules, tree: Tree) -> Folded:
    """TRN-ORDER, -DECISION, -SHOWN, -RULESET: events are legal, decisions and screens the same.

    Without the image what only its bytes tell is believed, and everything else still judged.
    """
    engine = rulesets.carried(rules.version)
    state, unseen = engine.begin(), None
    for line in log.lines:
        try:
            if isinstance(line.event, Recovered):
                _grow(tree, log, line.seq)
                _check_recovered(line.event, tree)
            state = engine.advance(state, line.event, rules)
        except CeremonyError as error:
            return Folded(state, unseen, _stopped(line, state, rules, error))
        if unseen is None and isinstance(state, Inspect):
            sha256 = state.taken.image.sha256
            unseen = Unseen(line.seq, sha256) if rules.lacks(sha256) else None
    return Folded(state, unseen, ())


def _stopped(line: Line, state: State, rules: Rules, error: CeremonyError) -> tuple[Fault, ...]:
    match error:
        case NotHere():  # was said at the event that brought the image in
            return ()
        case Differs():
            return (_decision_fault(line, error),)
        case OutOfOrder():
            return (_order_fault(line, state, rules, error),)
        case Refused():
            found = error.findings[0]
            verdict = Verdict.INCOMPLETE if found.rule == "TRN-RULESET" else Verdict.FORGED
            return (fault(verdict, found.rule, f"event {line.seq + 1}: {found.text}"),)
        case _:
            raise error


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
    verdict, rule = Verdict.DIFFERS, "TRN-DECISION"
    if isinstance(line.event, Ack):
        rule = "TRN-SHOWN"
    elif isinstance(line.event, Recovered):  # lines were taken out or put in
        verdict, rule = Verdict.FORGED, "TRN-ORDER"
    at = differing.of_decision(line, rule, error)
    said = f"{at.path} recomputed {at.expected}, recorded {at.found}"
    text = f"event {at.line + 1}, {at.event}: {said}"
    return replace(fault(verdict, rule, text), difference=at)


def _order_fault(line: Line, state: State, rules: Rules, error: OutOfOrder) -> Fault:
    at = differing.of_order(line, state, rules, error)
    text = f"event {at.line + 1}, {at.event}: {error}; awaited: {at.expected}"
    return replace(fault(Verdict.FORGED, "TRN-ORDER", text), difference=at)
