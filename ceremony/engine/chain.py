"""The chain from ceremony to ceremony: the first line names the head of the one before.

Where the policy keeps a ledger, what the first line names is held against the last line of the
ledger whose head two people confirmed. Without one nobody confirms it, and what is named is a
claim that an archive's replay looks up. It refuses to know where the head was found.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ceremony.errors import refuse
from ceremony.events import Begun
from ceremony.ledger import Ledger
from ceremony.show import escaped
from ceremony.types import SHA256_BYTES, Finding, Severity
from ceremony.verdicts import Judgement, Verdict
from ceremony.words import words

RULE = "TRN-PREVIOUS"
HEAD_WORDS = 6
_HEAD = re.compile(rf"[0-9a-f]{{{2 * SHA256_BYTES}}}")


def check_form(begun: Begun) -> None:
    """TRN-PREVIOUS: a previous head is 64 hex digits, or null."""
    head = begun.previous_head
    if head is not None and not _HEAD.fullmatch(head):
        raise refuse(RULE, f"the previous head {escaped(head, 70)} is not 64 hex digits")


def spoken(head: str) -> str:
    """Return a head's six words, as they stand on the witness's paper."""
    return " ".join(words(bytes.fromhex(head))[:HEAD_WORDS])


def chained(begun: Begun, confirmed: Ledger, verdict: Verdict) -> Verdict:
    """TRN-PREVIOUS: add to the judge's verdict whether the first line names the right head."""
    finding = _finding(begun.previous_head, confirmed)
    judged = verdict.verdict
    if finding.severity is Severity.REFUSE:
        judged = Judgement.REFUSE
    return replace(verdict, verdict=judged, findings=(*verdict.findings, finding))


def _finding(named: str | None, confirmed: Ledger) -> Finding:
    last = confirmed.entries[-1] if confirmed.entries else None
    if last is None and named is None:
        return Finding(RULE, Severity.INFO, "the first ceremony under its ledger: none before it")
    if last is None:
        text = f"the first line names {named}, and the confirmed ledger has no ceremony"
        return Finding(RULE, Severity.REFUSE, text)
    if named is None:
        text = f"the first line names no ceremony; the last in the ledger has the head {last.head}"
        return Finding(RULE, Severity.WARN, text)
    if named != last.head:
        text = f"the first line names {named}; the last in the ledger has the head {last.head}"
        return Finding(RULE, Severity.REFUSE, text)
    text = f"follows ceremony {last.ceremony}: {spoken(named)}"
    return Finding(RULE, Severity.INFO, text)
