"""Whether a bundle may be exported, and what its ceremony concluded.

Decides that nothing is said in other formats of a record that does not hold (TRN-EXPORT). It
refuses to know what is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceremony import bundle
from ceremony.attest.sigstore import Verifier
from ceremony.content import Stored, octets_of
from ceremony.engine import RULESET, Rules
from ceremony.errors import Refused, refuse
from ceremony.events import Begun, Outcome, OutputFile
from ceremony.policy import Policy
from ceremony.states import Close, ReadBack, Resumed
from ceremony.types import Finding, Mode, Severity
from transcripts import rulesets
from transcripts.checkpoint import Head
from transcripts.log import read_log
from transcripts.replay import Verdict, contents_of, fitting, replay

RULE = "TRN-EXPORT"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A bundle that replayed to REPRODUCED, whatever its outcome."""

    files: Mapping[str, Stored]
    image: Stored | None
    verifier: Verifier | None
    head: Head
    mode: Mode
    outcome: str
    witnesses: tuple[str, ...]

    @property
    def checkpoint(self) -> bytes:
        """Return the bytes that the witnesses signed."""
        return octets_of(self.files[bundle.CHECKPOINT])


@dataclass(frozen=True, slots=True)
class Released:
    """What a ceremony with outcome ok concluded: judged under a policy, signed, sealed.

    `judged` is the state with the verdict that let the image pass.
    """

    begun: Begun
    policy: Policy
    judged: ReadBack
    signed: OutputFile


def sealed(files: Mapping[str, Stored], image: Stored | None, verifier: Verifier | None) -> Sealed:
    """Return the bundle once it replayed; Refused with every finding and TRN-EXPORT otherwise."""
    found = replay(files, image, verifier)
    if found.verdict is not Verdict.REPRODUCED or found.head is None:
        text = f"the bundle is {found.verdict}, not REPRODUCED"
        raise Refused(*found.findings, Finding(RULE, Severity.REFUSE, text))
    mode = Mode(found.mode)
    return Sealed(files, image, verifier, found.head, mode, found.outcome, found.witnesses)


def released(source: Sealed) -> Released:
    """Return what an ok ceremony concluded; TRN-EXPORT for any other outcome."""
    if source.outcome != Outcome.OK:
        raise refuse(RULE, f"the ceremony's outcome is {source.outcome}: no image was released")
    log = read_log(octets_of(source.files[bundle.TRANSCRIPT]))
    contents = contents_of(log, source.files, source.image)
    first = log.lines[0].event
    version = first.ruleset if isinstance(first, Begun) else RULESET
    rules = Rules(contents, version, fitting(log, source.verifier))
    engine = rulesets.carried(version)
    state, judged = engine.begin(), None
    for line in log.lines:
        state = engine.advance(state, line.event, rules)
        inner = state.inner if isinstance(state, Resumed) else state
        judged = inner if isinstance(inner, ReadBack) else judged
    if not isinstance(state, Close) or state.policy is None or judged is None:
        raise refuse(RULE, "no image was judged and signed")
    name = bundle.signed_name(judged.taken.image.path)
    signed = [file for file in state.files if file.name == name]
    if not signed:
        raise refuse(RULE, "the bundle holds no signed image")
    return Released(state.begun, state.policy, judged, signed[0])
