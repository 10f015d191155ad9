"""The ledger's next line, made from a transcript that replays.

Decides what a ceremony's line says: all of it is recomputed from the record, the version and
the attestations by the judge itself. A ceremony that ended before it judged an image has no
line. It refuses to know files and whether the bundle is sound: replay.py said so before.
"""

from __future__ import annotations

from collections.abc import Mapping

from ceremony.attest.sigstore import Verifier
from ceremony.clock import wall_text
from ceremony.content import Stored
from ceremony.engine import Rules, advance, begin
from ceremony.engine.judge import confirmed_head, examined
from ceremony.errors import refuse
from ceremony.events import Outcome
from ceremony.ledger import Ended, Entry
from ceremony.pe.digest import file_sha256
from ceremony.states import Close, Judge, Resumed
from transcripts.log import Log
from transcripts.merkle import Tree
from transcripts.replay import fitting

ENDED = {
    Outcome.OK: Ended.SIGNED,
    Outcome.DISPUTED: Ended.SIGNED,
    Outcome.REFUSED: Ended.REFUSED,
    Outcome.OVERRIDE_NEEDED: Ended.REFUSED,
    Outcome.ABORTED: Ended.ABORTED,
}


def next_entry(
    log: Log, contents: Mapping[str, Stored], verifier: Verifier | None, previous: str
) -> Entry:
    """Return the line for a closed ceremony, behind the line whose SHA-256 is `previous`.

    Raises Refused (QRM-LEDGER) where there is none to write, (QRM-LEDGER-FORK) where another
    ledger was confirmed, and what `advance` raises.
    """
    rules = Rules(contents, verifier=fitting(log, verifier))
    state, judged, tree = begin(), None, Tree()
    for line, raw in zip(log.lines, log.raw, strict=True):
        state = advance(state, line.event, rules)
        tree.append(raw)
        inner = state.inner if isinstance(state, Resumed) else state
        judged = inner if isinstance(inner, Judge) else judged
    if not isinstance(state, Close) or judged is None:
        raise refuse("QRM-LEDGER", "the ceremony ended before an image was judged: it has no line")
    if judged.heads and confirmed_head(judged) != previous:
        text = f"the ceremony confirmed the head {confirmed_head(judged)[:16]}, this ledger's is "
        raise refuse("QRM-LEDGER-FORK", text + previous[:16])
    found = examined(judged, rules)
    policy = judged.session.policy
    return Entry(
        artifact=judged.taken.image.path,
        attestations=tuple(sorted(set(found.attestations))),
        ceremony=log.lines[0].ceremony,
        ended=ENDED[state.outcome],
        head=tree.root().hex(),
        policy_id=policy.policy_id,
        policy_sequence=policy.sequence,
        policy_sha256=policy.sha256.hex,
        previous=previous,
        sha256=file_sha256(rules.content(judged.taken.image.sha256)).hex,
        time=wall_text(judged.session.now),
        version=found.version,
    )
