"""Which files on the media belong together, and what each attestation says and who said it.

`gather` groups detached signatures with the files they may sign: a signature's own name
without its last extensions. `read` checks the signature against the policy's enrolled keys
before it reads what was signed. Refuses to know votes; an unknown file is never fatal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ceremony.attest.detached import read_minisign_pair, read_sshsig_pair
from ceremony.attest.dsse import looks_like_dsse
from ceremony.attest.enveloped import read_dsse
from ceremony.attest.minisign import looks_like_minisign
from ceremony.attest.record import Reading, Unverified
from ceremony.attest.sshsig import looks_like_sshsig
from ceremony.attest.sums import looks_like_sums
from ceremony.policy_model import Policy
from ceremony.types import MediaFile

# How many files of one stem a signature is tried against: two media may carry different
# copies under one path, and `X.alice.sig` may be over `X.alice` or over `X`.
MOST_CANDIDATES = 16
MOST_EXTENSIONS = 8


class Format(StrEnum):
    """What a file was taken for by its first bytes and its name."""

    SSHSIG = "sshsig"
    MINISIGN = "minisign"
    DSSE = "dsse"
    CHECKSUMS = "checksums"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One file that may be an attestation, and the files that it may sign, best first."""

    file: MediaFile
    format: Format
    signed: tuple[MediaFile, ...]

    @property
    def identity(self) -> tuple[bytes, ...]:
        """Return what makes two copies of one attestation the same, whatever their names."""
        return (self.file.data, *sorted(file.data for file in self.signed))


def gather(files: tuple[MediaFile, ...]) -> tuple[Evidence, ...]:
    """Group the files; every file is in the result once, as evidence or as signed content."""
    distinct = sorted(set(files), key=lambda file: (file.path, file.data))
    by_path: dict[str, list[MediaFile]] = {}
    for file in distinct:
        by_path.setdefault(file.path, []).append(file)
    found: list[Evidence] = []
    signed: set[MediaFile] = set()
    for file in distinct:
        kind = _format(file)
        candidates = _candidates(file.path, by_path) if kind in _DETACHED else ()
        signed.update(candidates)
        found.append(Evidence(file, kind, candidates))
    return tuple(
        evidence
        for evidence in found
        if evidence.format not in (Format.CHECKSUMS, Format.UNKNOWN) or evidence.file not in signed
    )


_DETACHED = (Format.SSHSIG, Format.MINISIGN)


def _format(file: MediaFile) -> Format:
    if looks_like_sshsig(file.data):
        return Format.SSHSIG
    if looks_like_minisign(file.path, file.data):
        return Format.MINISIGN
    if looks_like_dsse(file.path, file.data):
        return Format.DSSE
    return Format.CHECKSUMS if looks_like_sums(file.path) else Format.UNKNOWN


def _candidates(path: str, by_path: dict[str, list[MediaFile]]) -> tuple[MediaFile, ...]:
    found = [file for stem in _stems(path) for file in by_path.get(stem, ())]
    return tuple(found[:MOST_CANDIDATES])


def _stems(path: str) -> Iterator[str]:
    folder, slash, name = path.rpartition("/")
    for _ in range(MOST_EXTENSIONS):
        name = name.rpartition(".")[0]
        if not name:
            return
        yield folder + slash + name


def read(evidence: Evidence, policy: Policy) -> tuple[Reading, ...]:
    """Read one piece of evidence; an envelope with several enrolled signers gives several."""
    match evidence.format:
        case Format.SSHSIG:
            return (read_sshsig_pair(evidence.file, evidence.signed, policy),)
        case Format.MINISIGN:
            return (read_minisign_pair(evidence.file, evidence.signed, policy),)
        case Format.DSSE:
            return read_dsse(evidence.file, policy)
        case Format.CHECKSUMS:
            return (_nothing(evidence, "ATT-UNSIGNED", "checksums that nobody signed here"),)
        case Format.UNKNOWN:
            return (_nothing(evidence, "ATT-FORMAT", "no attestation format known here"),)


def _nothing(evidence: Evidence, rule: str, text: str) -> Reading:
    return Unverified(evidence.file.path, evidence.format, "", rule, text, None)
