"""After the close line: the checkpoint, people's signatures over it, and SHA256SUMS last.

SHA256SUMS stands in a bundle only when everything else does, so its presence says that
the bundle is whole. Publishing may be interrupted and begun again at any point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ceremony import bundle
from ceremony.attest.sshsig import read_sshsig
from ceremony.content import Stored
from ceremony.engine import Rules, fold
from ceremony.errors import Refused, refuse
from ceremony.ingest.judging import read_apart
from ceremony.ingest.reading import read_regular
from ceremony.ingest.sigstore import late_verifier
from ceremony.policy import Policy
from ceremony.states import Close, Seal
from transcripts import countersign
from transcripts.checkpoint import NAMESPACE, Head
from transcripts.files import (
    TEMPORARY,
    make_folder,
    read_bundle,
    remove,
    trouble,
    write_file,
)
from transcripts.log import read_log
from transcripts.replay import Verdict, make_sums, replay
from transcripts.store import BundleFolder
from tui.faces import Closing, Face

Signers = Mapping[str, Callable[[str, bytes], bytes]]


class Publisher:
    """Publishes one closed transcript into one bundle folder."""

    def __init__(
        self, folder: Path, face: Face, signers: Signers, contents: Mapping[str, Stored]
    ) -> None:
        """`contents` are the unsigned images by digest, for the replay before the seal."""
        self._contents = contents
        self._folder = folder
        self._face = face
        self._signers = signers

    def publish(self, transcript: bytes, head: Head, closed: Close) -> tuple[str, ...]:
        """Write what is left to write; return the witnesses who signed the checkpoint.

        Outputs that are gone, with their medium or by a power loss, are made again from the
        transcript and the image; the token is not needed.
        """
        try:
            make_folder(self._folder)  # before the look at what it holds: it may be a new one
            self._restore(transcript, closed)
            remove(*self._folder.glob(f"*{TEMPORARY}"))  # of a publishing that was killed
            write_file(self._folder / bundle.TRANSCRIPT, (transcript,))
            write_file(self._folder / bundle.CHECKPOINT, (head.text,))
            witnesses = self._collect(head, closed)
            files = read_bundle(self._folder, {file.name for file in closed.files})
            files.pop(bundle.SUMS, None)
            sums = make_sums(files)
            self._replayed({**files, bundle.SUMS: sums})
            write_file(self._folder / bundle.SUMS, (sums,))
        except OSError as error:
            raise trouble("MED-WRITE", self._folder, error) from None
        return witnesses

    def _restore(self, transcript: bytes, closed: Close) -> None:
        outputs = BundleFolder(self._folder, ())
        lacking = outputs.lacking(closed.files)
        if not lacking:
            return
        events = tuple(line.event for line in read_log(transcript).lines)
        rules = Rules(self._contents, verifier=late_verifier(), read=read_apart)
        state = fold(events[:-1], rules)
        if isinstance(state, Seal):
            image = self._contents.get(state.taken.image.sha256) if state.taken else None
            made = bundle.outputs(state, image)
            outputs.write(tuple(o for o in made if o.file.name in lacking), self._face.tell)

    def _replayed(self, files: Mapping[str, Stored]) -> None:
        """Refuse to seal a bundle that an auditor would not reproduce from these very bytes."""
        image = next(iter(self._contents.values()), None)
        found = replay(files, image, late_verifier(), read_apart)
        wrong = tuple(f for f in found.findings if f.rule != "TRN-COUNTERSIGNATURE")
        if wrong or found.verdict in (Verdict.FORGED, Verdict.DIFFERS):
            raise Refused(*found.findings)

    def _collect(self, head: Head, closed: Close) -> tuple[str, ...]:
        policy = closed.policy
        needed = policy.countersignatures.threshold if policy else 0
        while True:
            signed = self._signed(policy, head)
            offered = self._face.countersign(
                Closing(
                    head=head,
                    outcome=closed.outcome,
                    why=closed.why,
                    files=closed.files,
                    checkpoint=self._folder / bundle.CHECKPOINT,
                    signed=signed,
                    needed=needed,
                    rehearsal_signers=tuple(p for p in self._signers if policy and p not in signed),
                )
            )
            if offered is None:
                return signed
            try:
                self._take(policy, offered, head)
            except Refused as error:
                self._face.tell(error.findings)

    def complete(self, head: Head, closed: Close) -> bool:
        """Tell whether the bundle is whole and enough witnesses signed its checkpoint."""
        needed = closed.policy.countersignatures.threshold if closed.policy else 0
        try:
            whole = (self._folder / bundle.SUMS).exists()
            return whole and len(self._signed(closed.policy, head)) >= needed
        except OSError as error:
            raise trouble("MED-WRITE", self._folder, error) from None

    def _signed(self, policy: Policy | None, head: Head) -> tuple[str, ...]:
        return self._counted(policy, head).witnesses if policy else ()

    def _holders(self, policy: Policy, head: Head) -> tuple[str, ...]:
        """Return everybody whose good signature is there, the administrator too."""
        counted = self._counted(policy, head)
        administrator = (policy.roles.administrator,) if counted.administrator else ()
        return (*counted.witnesses, *administrator)

    def _counted(self, policy: Policy, head: Head) -> countersign.Countersigned:
        files = {
            path.name: read_regular(path, countersign.MOST_BYTES)
            for path in self._folder.iterdir()
            if countersign.is_countersignature(path.name)
        }
        return countersign.count(policy, files, head.text)

    def _take(self, policy: Policy | None, offered: str, head: Head) -> None:
        """TRN-COUNTERSIGNATURE: keep a signature only when it is good and its person known."""
        if policy is None:
            raise refuse("TRN-COUNTERSIGNATURE", "there is no policy that names any person")
        if offered in self._signers:
            person, data = offered, self._signers[offered](NAMESPACE, head.text)
        else:
            data = _read(Path(offered))
            person = _person(policy, data)
        countersign.check_one(policy, person, data, head.text)
        if person in self._holders(policy, head):
            raise countersign.already(person)
        write_file(self._folder / countersign.file_name(person), (data,))


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, countersign.MOST_BYTES)
    except OSError as error:
        raise refuse("MED-PATH", f"{path}: {error.strerror}") from None
    except ValueError:
        raise refuse("MED-PATH", "that is not a path") from None


def _person(policy: Policy, data: bytes) -> str:
    fpr = read_sshsig(data).public_key.fpr
    if person := countersign.person_of(policy, fpr):
        return person
    raise refuse("TRN-COUNTERSIGNATURE", f"the key {fpr} is nobody's in the policy")
