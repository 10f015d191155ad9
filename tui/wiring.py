"""The composition root: one ceremony wired from folders, a token and a face.

Starting and resuming are the same act: the logs are opened, what they hold is folded
through the engine, and the driver goes on from the state that comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from ceremony import policy as policies
from ceremony.blobs import from_blob
from ceremony.content import Stored
from ceremony.driver import Driver
from ceremony.engine import Rules, fold
from ceremony.errors import MediaTrouble, OutOfOrder, Refused, refuse
from ceremony.events import Begun, Event, MediaRead, Outcome, OutputsIntended, PolicyRead
from ceremony.ingest.judging import SievedMedia, read_apart
from ceremony.ingest.media import FolderMedia
from ceremony.ingest.sealed_copy import RULE as MEMORY
from ceremony.ingest.sigstore import late_verifier
from ceremony.ingest.world import LinuxWorld, boot_id, copies_at_once, monotonic_ns
from ceremony.pe.digest import file_sha256
from ceremony.ports import Ports
from ceremony.questions import Answer, Form, Question, check_answer
from ceremony.states import Close, State
from ceremony.steps import Step
from ceremony.types import Mode
from transcripts.checkpoint import Head
from transcripts.log import Log, Stamp
from transcripts.store import BundleFolder, FileJournal
from tui.approving import ApprovingFace
from tui.before import head_before
from tui.faces import Face
from tui.identity import tool_sha256, tool_version
from tui.publishing import Publisher, Signers
from tui.tokens import BoundToken, PracticeToken, open_token

UNSIGNED = frozenset(Step) - {Step.VERIFY, Step.SEAL, Step.CLOSE}  # the token may be asked yet


@dataclass(frozen=True, slots=True)
class Places:
    """Where a ceremony takes from and puts to; `signers` are a rehearsal's practice keys.

    `approvals` is the folder where the plan lies that key holders sign.
    `previous` is the head of the ceremony before, where people gave it.
    """

    mode: Mode
    policy: Path
    incoming: Path
    logs: tuple[Path, ...]
    out: Path
    machine: Path | None
    approvals: Path
    signers: Signers = field(default_factory=dict)
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a ceremony ended: its outcome, its witnesses, and whether they are enough."""

    closed: Close
    witnesses: tuple[str, ...]
    needed: int

    @property
    def released(self) -> bool:
        """Tell whether there is a signed image that may be released."""
        return self.closed.outcome is Outcome.OK and len(self.witnesses) >= self.needed


class LiveJournal:
    """The journal as the driver sees it: durable lines, shown to the face, then published."""

    def __init__(self, journal: FileJournal, face: Face, publisher: Publisher) -> None:
        self._journal = journal
        self._face = face
        self._publisher = publisher
        self.closed: Close | None = None
        self.witnesses: tuple[str, ...] = ()

    def append(self, event: Event) -> None:
        """Make `event` durable on every log, then show it."""
        self._journal.append(event)
        self._face.recorded(event, self._journal.head)

    def publish(self, closed: Close) -> int:
        """Make the checkpoint, collect countersignatures, return how many persons signed."""
        self.witnesses = self._publisher.publish(
            self._journal.transcript(), self._journal.head, closed
        )
        return len(self.witnesses)


def hold(places: Places, face: Face) -> Ended:
    """Hold a ceremony from where its logs stand to its end.

    Refused, MediaTrouble and EOFError leave logs that the same call resumes.
    """
    face.begin(places.mode)
    stamp_boot = boot_id()
    world = LinuxWorld(
        mode=places.mode,
        logs=tuple(folder.name for folder in places.logs),
        tool=tool_version(),
        tool_sha256=tool_sha256(),
    )
    journal = FileJournal(places.logs, lambda: Stamp(monotonic_ns(), stamp_boot, world.wall()))
    media = FolderMedia(places.incoming, places.policy)
    token = open_token(places.machine, places.mode)
    contents: dict[str, Stored] = {}
    publisher = Publisher(places.out, face, places.signers, contents)
    live = LiveJournal(journal, face, publisher)
    bundle = BundleFolder(places.out, places.logs)
    try:
        # No log is made for what is refused before it begins.
        early = None if journal.begun else _read_before(places, media, bundle, token)
        log, recovered = journal.recover()
        state = _resumed_state(places, log, media, contents, face)
        if state is None:
            read = early or _read_before(places, media, bundle, token)
            named = places.previous or head_before(places.incoming, read)
            world = replace(world, previous_head=named)
        else:
            bundle.require_own(_intended(log))
            if state.step in UNSIGNED:
                read = _policy_read(log) or _read_early(media)  # it may have died before
                token.admit(places.mode, from_blob(read.policy).data)
        if isinstance(state, Close):
            if publisher.complete(journal.head, state):
                text = f"{places.logs[0]} holds a ceremony that is closed and sealed"
                raise refuse("TRN-LOG", text)
            face.recorded(log.lines[-1].event, journal.head)
            face.tell(state)
            _confirm_closed(face, state, journal.head)
        people = ApprovingFace(face, places.approvals, places.signers)
        sieved = SievedMedia(media, late_verifier())
        ports = Ports(people, sieved, bundle, token, live, world)
        driver = Driver(ports, contents, state, late_verifier(), read_apart)
        if recovered and not isinstance(state, Close):
            driver.take(replace(recovered, tool=world.tool, tool_sha256=world.tool_sha256))
        closed = driver.run()
        needed = closed.policy.countersignatures.threshold if closed.policy else 0
        return Ended(closed, live.witnesses, needed)
    finally:
        token.close()
        journal.close()


def _read_before(
    places: Places, media: FolderMedia, bundle: BundleFolder, token: BoundToken | PracticeToken
) -> PolicyRead:
    """Return the policy, once all is looked at that a ceremony's first line needs."""
    bundle.require_empty()
    read = _read_early(media)
    _require_memory(media, read)
    token.admit(places.mode, from_blob(read.policy).data)
    return read


def _read_early(media: FolderMedia) -> PolicyRead:
    """MED-PATH: a mistyped path is said before anything is begun; no medium went away."""
    try:
        return media.read_policy()
    except MediaTrouble as trouble:
        raise MediaTrouble("MED-PATH", trouble.text) from None


def _require_memory(media: FolderMedia, read: PolicyRead) -> None:
    """MED-MEMORY: nobody begins on a machine that cannot hold the image that lies ready."""
    try:
        policy = policies.load(from_blob(read.policy).data)
    except Refused:
        return  # Open records why
    media.require_memory(policy.artifact.names, copies_at_once())


def _resumed_state(
    places: Places, log: Log, media: FolderMedia, contents: dict[str, Stored], face: Face
) -> State | None:
    """Return the state that the logs lead to, None when they are empty."""
    if not log.lines:
        return None
    first = log.lines[0].event
    if not isinstance(first, Begun) or first.mode is not places.mode:
        raise refuse("TRN-LOG", "the logs hold a ceremony of the other mode")
    _bring_image(log, media, contents, face)
    try:
        state = fold(
            tuple(line.event for line in log.lines),
            Rules(contents, verifier=late_verifier(), read=read_apart),
        )
    except OutOfOrder as error:
        raise refuse("TRN-ORDER", f"the logs cannot be resumed: {error}") from None
    return state


def _policy_read(log: Log) -> PolicyRead | None:
    """Return what was read as the policy, None where it was not read yet."""
    return next((e.event for e in log.lines if isinstance(e.event, PolicyRead)), None)


def _intended(log: Log) -> tuple[str, ...]:
    """Return the names of all outputs that this ceremony ever meant to write."""
    events = [line.event for line in log.lines]
    return tuple(f.name for e in events if isinstance(e, OutputsIntended) for f in e.files)


def _confirm_closed(face: Face, closed: Close, head: Head) -> None:
    """Let the witness compare a transcript that another process closed; nothing is appended."""
    witness = closed.policy.roles.internal_witness if closed.policy else "witness"
    question = Question(
        name="close.resume",
        role="internal witness",
        persons=(witness,),
        shown=(
            f"This ceremony was closed earlier: {closed.outcome}.",
            f"Lines in its transcript: {head.count}. Its head words are",
            f"    {head.spoken}",
            "Compare both with the last ones on the witness's paper.",
        ),
        prompt="Type RESUME when they agree",
        form=Form.CONFIRM,
        word="RESUME",
    )
    while isinstance(answer := face.answer(question), Answer):
        findings = check_answer(question, answer)
        if not findings:
            return
        face.tell(findings)
    raise EOFError  # nobody confirmed it: nothing is published, the logs stay as they are


def _bring_image(log: Log, media: FolderMedia, contents: dict[str, Stored], face: Face) -> None:
    """MED-RESUME: the medium gives the very image again that the transcript names."""
    entries = [e.event.image for e in log.lines if isinstance(e.event, MediaRead) and e.event.image]
    if not entries:
        return
    entry = entries[-1]
    try:
        _, image = media.read((entry.path,), entry.size, face.tell)
    except MediaTrouble as trouble:
        if trouble.rule == MEMORY:
            raise
        raise refuse("MED-RESUME", trouble.text) from None
    if file_sha256(image).hex != entry.sha256:
        text = f"{entry.path} with SHA-256 {entry.sha256} is not on the medium"
        raise refuse("MED-RESUME", text)
    contents[entry.sha256] = image
