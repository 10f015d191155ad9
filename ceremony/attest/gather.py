"""Which files on the media belong together, and what each attestation says and who said it.

`gather` groups detached signatures with the files they may sign: a signature's own name
without its last extensions. `read` checks the signature against the policy's enrolled keys
before it reads what was signed. Refuses to know votes; an unknown file is never fatal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from ceremony.attest.aids import NONE, Aids
from ceremony.attest.attested_nar import read_nix
from ceremony.attest.detached import read_minisign_pair, read_sshsig_pair
from ceremony.attest.dsse import looks_like_dsse
from ceremony.attest.enveloped import read_dsse
from ceremony.attest.in_toto_link import looks_like_link, read_link
from ceremony.attest.minisign import looks_like_minisign
from ceremony.attest.narinfo import looks_like_narinfo
from ceremony.attest.openpgp import read_openpgp_pair
from ceremony.attest.openpgp_file import BINARY_STARTS, looks_like_openpgp
from ceremony.attest.rebuilderd import ZSTD, looks_like_rebuilderd, read_rebuilderd
from ceremony.attest.record import Reading, Unverified
from ceremony.attest.signified import read_signify_pair
from ceremony.attest.signify import looks_like_signify
from ceremony.attest.sigstore import read_sigstore
from ceremony.attest.sigstore_bundle import looks_like_sigstore, looks_like_trusted_root
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
    OPENPGP = "openpgp"
    MINISIGN = "minisign"
    SIGNIFY = "signify"
    SIGSTORE = "sigstore"
    REBUILDERD = "rebuilderd"
    LINK = "in-toto-link"
    DSSE = "dsse"
    NARINFO = "narinfo"
    ROOT = "trusted-root"
    CHECKSUMS = "checksums"
    UNKNOWN = "unknown"


class Evidence(NamedTuple):
    """One file that may be an attestation, and the files that it may sign, best first."""

    file: MediaFile
    format: Format
    signed: tuple[MediaFile, ...]

    @property
    def identity(self) -> tuple[bytes, ...]:
        """Return what makes two copies of one attestation the same, whatever their names.

        A name may decide the format: under another one a copy may be no attestation.
        """
        signed = sorted([file.data for file in self.signed])
        return (self.format.encode(), self.file.data, *signed)


# Who reads: this process, or a confined child that answers the same (ceremony/ingest).
Reader: TypeAlias = Callable[[tuple[Evidence, ...], Policy, Aids], Iterable[tuple[Reading, ...]]]


def gather(files: tuple[MediaFile, ...]) -> tuple[Evidence, ...]:
    """Group the files; every file is in the result once, as evidence or as signed content."""
    by_path = _by_path(files)
    found: list[Evidence] = []
    signed: set[int] = set()
    for path in sorted(by_path):
        for file in by_path[path]:
            kind = _format(file)
            candidates = _candidates(path, by_path) if kind in _DETACHED else ()
            signed.update(map(id, candidates))
            found.append(Evidence(file, kind, candidates))
    return tuple(
        evidence
        for evidence in found
        if evidence.format not in _CONTENTS or id(evidence.file) not in signed
    )


def _by_path(files: tuple[MediaFile, ...]) -> dict[str, tuple[MediaFile, ...]]:
    """Return the distinct files of each path, sorted by what they hold."""
    found: dict[str, list[MediaFile]] = {}
    for file in files:
        found.setdefault(file.path, []).append(file)
    return {
        path: tuple(sorted(set(same), key=lambda file: file.data)) if len(same) > 1 else (same[0],)
        for path, same in found.items()
    }


_CONTENTS = (Format.CHECKSUMS, Format.UNKNOWN)
_DETACHED = (Format.SSHSIG, Format.OPENPGP, Format.MINISIGN, Format.SIGNIFY, Format.SIGSTORE)
# Asked in this order: a minisign signature begins as one of signify does, a bundle may hold
# an envelope, and rebuilderd's files are links.
_JSON = b"{ \t\r\n"
_ANY = bytes(range(256))
_LOOKS: tuple[tuple[Format, bytes, Callable[[str, bytes], bool]], ...] = (
    (Format.SSHSIG, b"-", lambda _path, data: looks_like_sshsig(data)),
    (Format.OPENPGP, b"-" + b"".join(BINARY_STARTS), looks_like_openpgp),
    (Format.MINISIGN, b"u", looks_like_minisign),
    (Format.SIGNIFY, b"u", looks_like_signify),
    (Format.ROOT, _ANY, looks_like_trusted_root),
    (Format.SIGSTORE, _JSON, looks_like_sigstore),
    (Format.REBUILDERD, _JSON + ZSTD[:1], looks_like_rebuilderd),
    (Format.LINK, _JSON, looks_like_link),
    (Format.DSSE, _JSON, looks_like_dsse),
    (Format.NARINFO, _ANY, looks_like_narinfo),
    (Format.CHECKSUMS, _ANY, lambda path, _data: looks_like_sums(path)),
)
# What a file can be by its first byte, so that most are asked few questions.
_BY_FIRST = tuple(
    tuple((kind, looks_like) for kind, starts, looks_like in _LOOKS if first in starts)
    for first in range(256)
)
_EMPTY = tuple((kind, looks_like) for kind, starts, looks_like in _LOOKS if starts == _ANY)


def _format(file: MediaFile) -> Format:
    for kind, looks_like in _BY_FIRST[file.data[0]] if file.data else _EMPTY:
        if looks_like(file.path, file.data):
            return kind
    return Format.UNKNOWN


def _candidates(path: str, by_path: Mapping[str, tuple[MediaFile, ...]]) -> tuple[MediaFile, ...]:
    found = [file for stem in _stems(path) for file in by_path.get(stem, ())]
    return tuple(found[:MOST_CANDIDATES])


def _stems(path: str) -> Iterator[str]:
    folder, slash, name = path.rpartition("/")
    for _ in range(MOST_EXTENSIONS):
        name = name.rpartition(".")[0]
        if not name:
            return
        yield folder + slash + name


def read(evidence: Evidence, policy: Policy, aids: Aids = NONE) -> tuple[Reading, ...]:
    """Read one piece of evidence; an envelope with several enrolled signers gives several."""
    file, signed = evidence.file, evidence.signed
    match evidence.format:
        case Format.SSHSIG:
            return (read_sshsig_pair(file, signed, policy),)
        case Format.OPENPGP:
            return read_openpgp_pair(file, signed, policy)
        case Format.MINISIGN:
            return (read_minisign_pair(file, signed, policy),)
        case Format.SIGNIFY:
            return (read_signify_pair(file, signed, policy),)
        case Format.SIGSTORE:
            return (read_sigstore(file, signed, aids.roots, policy, aids.verifier),)
        case Format.REBUILDERD:
            return read_rebuilderd(file, policy)
        case Format.LINK:
            return read_link(file, policy)
        case Format.DSSE:
            return read_dsse(file, policy)
        case Format.NARINFO:
            return read_nix(file, aids.archives, policy, aids.names)
        case Format.ROOT | Format.CHECKSUMS | Format.UNKNOWN as kind:
            rule, text = _NO_VOTES[kind]
            return (Unverified(file.path, kind, "", rule, text, None),)


def read_here(
    found: tuple[Evidence, ...], policy: Policy, aids: Aids
) -> Iterator[tuple[Reading, ...]]:
    """Read every piece in this process, in order: what replay does, and the confined child."""
    return (read(evidence, policy, aids) for evidence in found)


_NO_VOTES = {
    Format.ROOT: ("ATT-FORMAT", "a trusted root of Sigstore, no vote"),
    Format.CHECKSUMS: ("ATT-UNSIGNED", "checksums that nobody signed here"),
    Format.UNKNOWN: ("ATT-FORMAT", "no attestation format known here"),
}
