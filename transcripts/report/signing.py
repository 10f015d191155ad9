"""Token evidence with its grade, approvals, every attempt to sign, and what verified the result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ceremony.events import (
    Intended,
    LoggedIn,
    OutputsWritten,
    SecondOpinion,
    Signed,
    TokenProbed,
)
from ceremony.key_attestation import Attested
from ceremony.token import KeyEvidence, TokenEvidence
from transcripts.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Events,
    Facts,
    Lines,
    Mark,
    Paragraph,
    Run,
    Section,
    Table,
    at,
    bare,
    cell,
    code,
)
from transcripts.report.findings import outcome
from transcripts.report.record import Record, items, member, shaped

MOST_ROWS = 1000
UNGRADED = "This program has no words for this grade."
GRADES = {
    "asserted by module": (
        "The attributes below are what the PKCS#11 module claims. Nothing here proves that the "
        "key is inside hardware or was made there."
    ),
    "proved by attestation chain": (
        "The device itself signed that this key was made inside it, and a chain of certificates "
        "leads from there to a root that the policy pins. The attributes below are still what the "
        "PKCS#11 module claims."
    ),
    "embedded rehearsal key": "A practice key that everybody has. It proves nothing.",
}


def token(record: Record) -> Section:
    """Return the section on the token."""
    logins = tuple(record.all(LoggedIn))
    blocks: list[Block] = []
    seen = [(n, e.result.evidence) for n, e in logins if e.result.evidence]
    probed = record.last(TokenProbed)
    if not seen and probed:
        seen = [(probed[0], probed[1].evidence)]
    if not seen:
        blocks.append(Paragraph(("No token was looked at.",)))
    else:
        blocks += _evidence(*seen[-1], _attested(record))
    if logins:
        rows = tuple(
            (
                bare(number),
                cell(record.whos(event.persons)),
                (Mark(event.result.outcome, event.result.outcome == "ok"),),
                code(event.result.pin_state),
            )
            for number, event in logins[:MOST_ROWS]
        )
        head = ("Event", "Person", "Result", "PIN state")
        blocks.append(Table("Logins", head, rows, max(0, len(logins) - MOST_ROWS)))
    return Section("token", "The token and its key", tuple(blocks))


def _attested(record: Record) -> Attested | None:
    """Return what the last decision on the key says of its birth."""
    decided = record.decided("sign.login_verdict") or record.decided("sign.preflight")
    facts = decided[1].facts if decided else None
    return shaped(Attested, facts.get("attestation")) if isinstance(facts, dict) else None


def _birth(attested: Attested) -> Iterator[tuple[str, Cell]]:
    if attested.device:
        yield "Attested by", (attested.device,)
        for name, value in attested.facts[:MOST_ROWS]:
            yield f"Device says {name}", (value,)
        yield "Root, SHA-256", code(attested.root)
    for kept in attested.files[:MOST_ROWS]:
        name = "Verified file" if kept.verified else "Unverified, kept"
        yield name, (f"{kept.path}, SHA-256 {kept.sha256}",)


def _evidence(number: int, token: TokenEvidence, attested: Attested | None) -> list[Block]:
    grade = attested.grade if attested else token.grade
    proved = grade == "proved by attestation chain"
    stage = "after login" if token.stage == "after-login" else "before login, without a PIN"
    rows: tuple[tuple[str, Cell], ...] = (
        ("Grade", (Mark(grade, good=proved), f": {GRADES.get(grade, UNGRADED)}")),
        *(_birth(attested) if attested else ()),
        ("Seen in", (Events((number,)), f", {stage}")),
        ("Possession", (_possession(token),)),
        ("Token", (f"{token.token_label}, {token.token_model}, {token.token_manufacturer}",)),
        ("Serial number", code(token.token_serial)),
        ("Slot", (f"{token.slot_description}, {token.slot_manufacturer}",)),
        ("Module", code(token.module_path)),
        ("Module SHA-256", code(token.module_sha256)),
        (
            "Library",
            (_library(token),),
        ),
        ("Token flags", (", ".join(token.token_flags) or "-",)),
        ("Mechanisms", (f"{len(token.mechanisms)}, all in the transcript",)),
    )
    facts = Facts(f"Token evidence of event {number}", rows)
    return [facts, *(_key(key) for key in token.keys[:MOST_ROWS])]


def _library(token: TokenEvidence) -> str:
    named = f"{token.library_manufacturer}, {token.library_description}"
    return f"{named}, {token.library_version}, Cryptoki {token.cryptoki}"


def _possession(token: TokenEvidence) -> str:
    if token.possession == "proved":
        return "proved: the key signed a random challenge in this login, and that was verified"
    return "not tried"


def _key(key: KeyEvidence) -> Facts:
    attributes = tuple(f"{name:<20} {value}" for name, value in key.attributes)
    return Facts(
        f"Key {key.label}, seen as {key.found_as}",
        (
            ("Kind", (f"{key.key_type}, {key.bits} bits",)),
            ("CKA_ID", code(key.id)),
            ("SPKI SHA-256", code(key.spki_sha256)),
            ("Attributes", (Lines(attributes),) if attributes else ("not visible",)),
        ),
    )


def signature(record: Record) -> Section:
    """Return the section on plan, approvals, attempts, verification and outputs."""
    blocks: list[Block] = []
    planned = record.decided("sign.plan")
    if planned:
        number, decided = planned
        lines = tuple(str(line) for line in items(decided.facts, "plan"))
        rows: tuple[tuple[str, Cell], ...] = (
            ("Made in", (Events((number,)), " ", outcome(decided.outcome))),
            ("What will be signed", (Lines(lines),) if lines else ("-",)),
            ("Plan SHA-256", code(member(decided.facts, "sha256"))),
        )
        blocks.append(Facts("The plan", rows))
    blocks.append(_approvals(record))
    blocks += _attempts(record)
    return Section("signature", "Approvals and signature", tuple(blocks))


def _approvals(record: Record) -> Block:
    approved = record.acks("sign.approve")
    needed = record.policy.approvals.threshold if record.policy else 0
    if not approved:
        return Paragraph(("Nobody approved a signature.",))
    said: list[Run] = [f"{len(approved)} of {needed} needed approvals: "]
    for place, (number, ack) in enumerate(approved):
        said += [", " if place else "", f"{record.who(ack.person)} in ", Events((number,))]
    return Paragraph((*said, "."))


def _attempts(record: Record) -> list[Block]:
    intents = tuple(record.all(Intended))
    results = {event.attempt: (number, event) for number, event in record.all(Signed)}
    if not intents:
        return [Paragraph(("Nothing was given to a token to be signed.",))]
    blocks: list[Block] = []
    for number, intent in intents[:MOST_ROWS]:
        rows: list[tuple[str, Cell]] = [
            ("Intent recorded in", at(number)),
            ("Authenticode SHA-256", code(intent.authenticode)),
            ("Key, SPKI SHA-256", code(intent.spki_sha256)),
            ("Mechanism", code(intent.mechanism)),
            ("Signing time", (intent.signing_time,)),
            ("Plan SHA-256", code(intent.plan_sha256)),
            *_result(results.get(intent.attempt)),
        ]
        blocks.append(Facts(f"Attempt {intent.attempt}", tuple(rows)))
    return blocks


def _result(result: tuple[int, Signed] | None) -> list[tuple[str, Cell]]:
    if result is None:
        lost = Mark("unknown", good=False)
        return [("Result", (lost, ": none was recorded, a signature may exist that nobody holds"))]
    number, signed = result
    made = signed.result
    why = f" {made.rule}: {made.text}" if made.text else ""
    rows: list[tuple[str, Cell]] = [
        (
            "Result",
            (Mark(made.outcome, made.outcome == "signed"), f"{why} (", Events((number,)), ")"),
        )
    ]
    if made.signature:
        data = bytes.fromhex(made.signature)
        digest = hashlib.sha256(data).hexdigest()
        rows.append(("Signature", (f"{len(data)} bytes, SHA-256 ", Code(digest))))
    return rows


def outputs(record: Record) -> Section:
    """Return the section on what verified the signature, and on the files written."""
    blocks: list[Block] = []
    own = record.decided("verify.verdict")
    opinions: list[Cell] = []
    if own:
        number, decided = own
        opinions.append(("This program: ", outcome(decided.outcome), " (", Events((number,)), ")"))
    for number, event in record.all(SecondOpinion):
        answer = Mark(event.answer, event.answer == "accepted")
        said = f" {event.text} (" if event.text else " ("
        opinions.append((f"{event.tool}: ", answer, said, Events((number,)), ")"))
    if opinions:
        blocks.append(Bullets(tuple(opinions[:MOST_ROWS])))
    else:
        blocks.append(Paragraph(("No signature was verified.",)))
    written = record.last(OutputsWritten)
    if written is None:
        blocks.append(Paragraph(("No output was written.",)))
    else:
        number, sealed = written
        rows = tuple(
            ((Code(file.name),), cell(f"{file.size:,}"), code(file.sha256))
            for file in sealed.files[:MOST_ROWS]
        )
        more = max(0, len(sealed.files) - MOST_ROWS)
        blocks.append(Paragraph(("Read back from the medium in ", Events((number,)), ".")))
        blocks.append(Table("Outputs", ("File", "Bytes", "SHA-256"), rows, more))
    return Section("outputs", "Verification and outputs", tuple(blocks))
