"""One state a step, holding exactly what is known there, and the conclusions in between.

A conclusion type (Session, Taken, Approved, WordsRead, SignedImage) is constructed in one
function of the engine; a later state cannot exist without it, so no step can be skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

from ceremony.approval_plan import Plan
from ceremony.events import (
    Ack,
    Begun,
    Blob,
    ClockRead,
    Decided,
    Drawn,
    Intended,
    LoggedIn,
    MachineSurveyed,
    ManifestEntry,
    MediaFailed,
    MediaRead,
    Outcome,
    OutputFile,
    OutputsFailed,
    OutputsIntended,
    OutputsWritten,
    PolicyRead,
    Recovered,
    RoomMeasured,
    SecondOpinion,
    Signed,
    TimeFixed,
    TokenFailed,
    TokenProbed,
)
from ceremony.pe.attach import Signed as SignedBytes
from ceremony.pe.sign import SigningPlan
from ceremony.policy import Policy
from ceremony.steps import Step
from ceremony.types import Finding, ImageFacts
from ceremony.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Session:
    """Concluded by open: a valid policy, the people, and a clock that a witness confirmed."""

    begun: Begun
    read: PolicyRead
    policy: Policy
    now: datetime
    certificate: bytes
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """Concluded by ingest: what came in. The image's bytes are in the content store."""

    media: MediaRead
    image: ManifestEntry


@dataclass(frozen=True, slots=True)
class Approved:
    """Concluded by judge: a quorum built these bytes, or named operators overrode a veto."""

    facts: ImageFacts
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class WordsRead:
    """Concluded by read_back: a person typed this digest's words from independent paper."""

    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """What sign begins with: everything that must have been concluded before it."""

    session: Session
    taken: Taken
    approved: Approved
    words: WordsRead


@dataclass(frozen=True, slots=True)
class SignedImage:
    """Concluded by verify: our own verifier accepted the assembled image."""

    plan: SigningPlan
    image: SignedBytes
    cms_sha256: str


@dataclass(frozen=True, slots=True)
class Open:
    """Policy and owner signatures, roles, clock."""

    step: ClassVar[Step] = Step.OPEN
    begun: Begun | None = None
    read: PolicyRead | None = None
    policy: Policy | None = None
    pending: Decided | None = None
    admitted: bool = False
    roles: Ack | None = None
    clock: ClockRead | None = None
    told: Ack | None = None
    drift: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """Network interfaces, swap, block devices."""

    step: ClassVar[Step] = Step.INVENTORY
    session: Session
    survey: MachineSurveyed | None = None
    pending: Decided | None = None
    decided: Decided | None = None


@dataclass(frozen=True, slots=True)
class Ingest:
    """The medium: manifest, one copy into memory while hashing."""

    step: ClassVar[Step] = Step.INGEST
    session: Session
    media: MediaRead | None = None
    failed: MediaFailed | None = None
    pending: Decided | None = None
    decided: Decided | None = None


@dataclass(frozen=True, slots=True)
class Inspect:
    """Strict parse; what the image means."""

    step: ClassVar[Step] = Step.INSPECT
    session: Session
    taken: Taken
    facts: ImageFacts
    pending: Decided | None
    decided: Decided | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """The matrix of builders and the verdict; `heads` confirm the ledger where one is kept."""

    step: ClassVar[Step] = Step.JUDGE
    session: Session
    taken: Taken
    facts: ImageFacts
    verdict: Verdict
    pending: Decided | None
    decided: Decided | None = None
    overrides: tuple[Ack, ...] = ()
    heads: tuple[Ack, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Words typed from the paper sheet."""

    step: ClassVar[Step] = Step.READ_BACK
    session: Session
    taken: Taken
    approved: Approved
    tries: int = 0
    drawn: Drawn | None = None
    pending: Decided | None = None


@dataclass(frozen=True, slots=True)
class Sign:
    """Token preflight, plan, approvals, PIN, intent, signature.

    `stated` is the plan as the text that is approved; `approvals` are those over this very
    text. `doubted`: after an interruption, nobody said yet whether the signing time stands.
    """

    step: ClassVar[Step] = Step.SIGN
    ready: Ready
    token: TokenProbed | None = None
    room: RoomMeasured | None = None
    trouble: TokenFailed | None = None
    pending: Decided | None = None
    decided: Decided | None = None
    time: TimeFixed | None = None
    plan: SigningPlan | None = None
    stated: Plan | None = None
    doubted: bool = False
    approvals: tuple[Ack, ...] = ()
    last_try: bool = False
    login: LoggedIn | None = None
    logged_in: bool = False
    intent: Intended | None = None
    result: Signed | None = None
    lost: bool = False
    attempt: int = 1

    @property
    def time_said(self) -> str:
        """Return the signing time as it stands in the record, "" before it is fixed."""
        return self.time.wall if self.time else ""


@dataclass(frozen=True, slots=True)
class Verify:
    """Own verifier, and another implementation where one is installed."""

    step: ClassVar[Step] = Step.VERIFY
    ready: Ready
    plan: SigningPlan
    image: SignedBytes | None
    pending: Decided | None
    signed: SignedImage | None = None
    second: SecondOpinion | None = None


@dataclass(frozen=True, slots=True)
class Seal:
    """Outputs written and read back, statements of the roles, the close line.

    Reached from every earlier step: `outcome` says how, `why` with which findings; `earlier`
    are the names of outputs that were intended before and are to be taken back.
    """

    step: ClassVar[Step] = Step.SEAL
    begun: Begun
    read: PolicyRead | None
    policy: Policy | None
    taken: Taken | None
    signed: SignedImage | None
    outcome: Outcome
    why: tuple[Finding, ...] = ()
    intent: OutputsIntended | None = None
    written: OutputsWritten | None = None
    failed: OutputsFailed | None = None
    settled: bool = False
    statements: tuple[Ack, ...] = ()
    rotation: Ack | None = None
    pending: Decided | None = None
    earlier: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[OutputFile, ...]:
        """Return the outputs that were read back."""
        return self.written.files if self.written else ()


@dataclass(frozen=True, slots=True)
class Close:
    """The log is closed; nothing is appended any more."""

    step: ClassVar[Step] = Step.CLOSE
    begun: Begun
    policy: Policy | None
    outcome: Outcome
    why: tuple[Finding, ...]
    files: tuple[OutputFile, ...]
    statements: tuple[Ack, ...]


StepState: TypeAlias = (
    Open | Inventory | Ingest | Inspect | Judge | ReadBack | Sign | Verify | Seal | Close
)


@dataclass(frozen=True, slots=True)
class Resumed:
    """A ceremony that was interrupted: people acknowledge before it goes on."""

    inner: StepState
    event: Recovered

    @property
    def step(self) -> Step:
        """Return the step that was interrupted."""
        return self.inner.step


State: TypeAlias = StepState | Resumed

BY_STEP: dict[Step, type[StepState]] = {
    state.step: state
    for state in (Open, Inventory, Ingest, Inspect, Judge, ReadBack, Sign, Verify, Seal, Close)
}


def blobs(state: Seal) -> tuple[Blob, ...]:
    """Return the small files that came in and go into the bundle."""
    return state.taken.media.files if state.taken else ()
