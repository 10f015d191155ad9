"""Late countersigning: one more person's signature in a bundle that was sealed before.

Decides whether a signature may be added and how SHA256SUMS reads then. Nothing is added to a
bundle that an auditor would not reproduce; a stranger, a person who signed before and a
signature over anything but this checkpoint are refused. It refuses to know files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceremony import bundle
from ceremony import policy as policies
from ceremony.attest.sigstore import Verifier
from ceremony.content import Stored, octets_of
from ceremony.errors import Refused, refuse
from ceremony.pe.digest import file_sha256
from ceremony.policy import Policy
from ceremony.show import escaped
from transcripts import countersign, sealed
from transcripts.faults import Verdict
from transcripts.replay import replay


@dataclass(frozen=True, slots=True)
class Countersignable:
    """A bundle whose record holds: its checkpoint, and who signed it so far.

    `unlisted` are good signatures that SHA256SUMS lacks and `left_over` names to be removed:
    both are left by a countersigning that was killed.
    """

    policy: Policy
    checkpoint: bytes
    signed: tuple[str, ...]
    unlisted: tuple[str, ...]
    left_over: tuple[str, ...]
    digests: Mapping[str, str]

    def check(self, person: str) -> None:
        """TRN-COUNTERSIGNATURE: the policy names this person, who has not signed before."""
        if person not in {named.id for named in self.policy.persons}:
            text = f"{escaped(person, 60)} is nobody's id in the policy of this ceremony"
            raise refuse("TRN-COUNTERSIGNATURE", text)
        if person in self.signed:
            raise countersign.already(person)

    def accept(self, person: str, signature: bytes) -> None:
        """TRN-COUNTERSIGNATURE: the signature is this person's, over this checkpoint."""
        self.check(person)
        try:
            countersign.check_one(self.policy, person, signature, self.checkpoint)
        except Refused as error:
            text = f"{person}: {error.findings[0].text}; nothing was added"
            raise refuse("TRN-COUNTERSIGNATURE", text) from None

    def sums(self, person: str = "", signature: bytes = b"") -> bytes:
        """Return SHA256SUMS with this person's signature, or with the unlisted ones alone."""
        added = {countersign.file_name(person): _hex(signature)} if person else {}
        return sealed.sums_of({**self.digests, **added})

    def witnesses(self, person: str = "") -> tuple[str, ...]:
        """Return who counts towards the policy's number once `person` has signed too."""
        everybody = {*self.signed, person} - {"", self.policy.roles.administrator}
        return tuple(sorted(everybody))


def countersignable(
    files: Mapping[str, Stored], image: Stored | None, verifier: Verifier | None
) -> Countersignable:
    """Return what may be signed in a bundle; Refused with what keeps replay from saying so."""
    whole, _ = sealed.without_left_over(files)
    digests = {name: _hex(data) for name, data in whole.items() if name != bundle.SUMS}
    unlisted = sealed.late(octets_of(whole.get(bundle.SUMS, b"")), digests)
    if unlisted:
        whole[bundle.SUMS] = sealed.sums_of(digests)
    found = replay(whole, image, verifier)
    wrong = tuple(f for f in found.findings if f.rule != "TRN-COUNTERSIGNATURE")
    if wrong or found.verdict in (Verdict.FORGED, Verdict.DIFFERS):
        raise Refused(*found.findings)
    try:
        policy = policies.load(octets_of(whole.get(bundle.POLICY, b"")))
    except Refused:
        text = "there is no policy that names anybody who could sign this"
        raise refuse("TRN-COUNTERSIGNATURE", text) from None
    names = [name for name in sorted(whole) if countersign.is_countersignature(name)]
    return Countersignable(
        policy=policy,
        checkpoint=octets_of(whole[bundle.CHECKPOINT]),
        signed=tuple(map(countersign.person_in, names)),
        unlisted=tuple(map(countersign.person_in, unlisted)),
        left_over=tuple(sorted(files.keys() - whole.keys())),
        digests=digests,
    )


def _hex(data: Stored) -> str:
    return file_sha256(data).hex
