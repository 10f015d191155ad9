"""What a bundle's files must be, besides its transcript: sums, checkpoint, outputs, signatures.

Pure: names, bytes and digests in, faults out. It refuses to know how the ceremony went; what
was sealed and who may sign is told by the last state of the fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ceremony import bundle
from ceremony.content import Stored, octets_of
from ceremony.errors import Refused
from ceremony.events import Decided, Outcome, OutputFile, OutputsWritten
from ceremony.pe.digest import file_sha256
from ceremony.policy import Policy
from ceremony.show import escaped
from transcripts import countersign
from transcripts.checkpoint import Head, read_checkpoint
from transcripts.faults import Fault, Verdict, fault
from transcripts.log import Line

MOST_NAMED = 8
TEMPORARY = ".part"  # as files.py writes


def make_sums(files: Mapping[str, Stored]) -> bytes:
    """Return the bytes of SHA256SUMS over `files`, by name (GNU coreutils form)."""
    return sums_of({name: file_sha256(data).hex for name, data in files.items()})


def sums_of(digests: Mapping[str, str]) -> bytes:
    """Return the bytes of SHA256SUMS over files by the digests they have."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def without_left_over(
    files: Mapping[str, Stored],
) -> tuple[dict[str, Stored], list[Fault]]:
    """Return a bundle without what a late countersigning that was killed left beside it."""
    ours = {
        name
        for name in files
        if (whole := name.removesuffix(TEMPORARY)) != name
        and (whole == bundle.SUMS or countersign.is_countersignature(whole))
    }
    rest = {name: data for name, data in files.items() if name not in ours}
    text = "a writing that was broken off left it; countersign once more"
    return rest, [
        fault(Verdict.INCOMPLETE, "TRN-BUNDLE", f"{escaped(name)}: {text}") for name in sorted(ours)
    ]


def check_sums(files: Mapping[str, Stored], digests: Mapping[str, str]) -> list[Fault]:
    """TRN-BUNDLE: SHA256SUMS names every file of the bundle, and no other, by its digest."""
    if bundle.SUMS not in files:
        return [fault(Verdict.INCOMPLETE, "TRN-BUNDLE", "SHA256SUMS is missing")]
    sums = octets_of(files[bundle.SUMS])
    wanted = sums_of({n: digest for n, digest in digests.items() if n != bundle.SUMS})
    if sums == wanted:
        return []
    if unlisted := late(sums, digests):
        text = "is not listed in SHA256SUMS yet; countersign once more"
        named = (f"{escaped(name)} {text}" for name in unlisted)
        return [fault(Verdict.INCOMPLETE, "TRN-BUNDLE", text) for text in named]
    faults = [
        replace(fault(Verdict.DIFFERS, "TRN-BUNDLE", f"{_named(name)}: {said}"), file=name)
        for name, said in sorted(_unlike(sums, wanted).items())[:MOST_NAMED]
    ]
    if not faults:
        text = "SHA256SUMS is not in its one canonical form"
        faults.append(fault(Verdict.DIFFERS, "TRN-BUNDLE", text))
    return faults


def late(sums: bytes, digests: Mapping[str, str]) -> list[str]:
    """Return the countersignatures that alone are not listed, as between two renames."""
    listed = {line[66:].decode("utf-8", "replace") for line in sums.splitlines()}
    found = {n for n in digests if countersign.is_countersignature(n) and n not in listed}
    rest = {n: d for n, d in digests.items() if n != bundle.SUMS and n not in found}
    return sorted(found) if sums == sums_of(rest) else []


def _unlike(sums: bytes, wanted: bytes) -> dict[str, str]:
    """Return how each file is not as SHA256SUMS lists it: one thing is said of one file."""
    listed, found = set(sums.splitlines()), set(wanted.splitlines())
    gone, there = ({_name(line) for line in lines} for lines in (listed - found, found - listed))
    said = dict.fromkeys(gone, "listed in SHA256SUMS, and missing here")
    said |= dict.fromkeys(there, "not listed in SHA256SUMS")
    return said | dict.fromkeys(gone & there, "not the bytes that SHA256SUMS lists")


def once(sums: Sequence[Fault], outputs: Sequence[Fault]) -> list[Fault]:
    """Return both lists with one fault a file: the worse, and else what the transcript says."""
    ranks = {verdict: rank for rank, verdict in enumerate(Verdict)}
    worst: dict[str, int] = {}
    for found in (*sums, *outputs):
        worst[found.file] = min(worst.get(found.file, len(ranks)), ranks[found.verdict])
    sealed = {f.file for f in outputs if f.file and ranks[f.verdict] == worst[f.file]}
    first = [f for f in sums if not f.file or f.file not in sealed]
    told = {f.file for f in first if f.file}
    return [*first, *(f for f in outputs if f.file not in told)]


def _name(line: bytes) -> str:
    return line[66:].decode("utf-8", "replace")


def _named(name: str) -> str:
    return escaped(name) or "a line of SHA256SUMS"


def check_checkpoint(files: Mapping[str, Stored], head: Head | None) -> list[Fault]:
    """TRN-CHECKPOINT: it names this ceremony, the number of lines and their root."""
    if bundle.CHECKPOINT not in files:
        return [fault(Verdict.INCOMPLETE, "TRN-CHECKPOINT", "checkpoint.txt is missing")]
    try:
        stated = read_checkpoint(octets_of(files[bundle.CHECKPOINT]))
    except Refused as error:
        return [Fault(Verdict.FORGED, error.findings[0])]
    if head and stated != head:
        text = (
            f"checkpoint.txt states {stated.count} lines of {escaped(stated.origin, 70)}; "
            f"the transcript has {head.count} lines of {head.origin} with another root"
        )
        return [fault(Verdict.FORGED, "TRN-CHECKPOINT", text)]
    return []


def stated_outputs(lines: Iterable[Line]) -> tuple[OutputFile, ...] | None:
    """Return the outputs that a transcript says were read back, None where it does not say."""
    read: tuple[OutputFile, ...] = ()
    for event in (line.event for line in lines):
        match event:
            case OutputsWritten():
                read = event.files
            case Decided(name="seal.verdict", outcome=Outcome.OK):
                return read
            case _:
                pass
    return None


def check_outputs(
    files: Mapping[str, Stored], digests: Mapping[str, str], outputs: Sequence[OutputFile]
) -> list[Fault]:
    """TRN-IMAGE, TRN-BUNDLE: what was sealed is what is here, byte for byte."""
    faults = []
    for output in outputs:
        if output.name not in files:
            text = f"{output.name} was written, and is missing here"
            lost = fault(Verdict.INCOMPLETE, "TRN-BUNDLE", text)
            faults.append(replace(lost, file=output.name))
        elif digests[output.name] != output.sha256:
            rule = "TRN-IMAGE" if output.name.endswith(".efi") else "TRN-BUNDLE"
            text = f"{output.name} is not the file that was sealed"
            faults.append(replace(fault(Verdict.DIFFERS, rule, text), file=output.name))
    sealed = {output.name for output in outputs}
    for name in strangers(files, sealed):
        stray = fault(Verdict.DIFFERS, "TRN-BUNDLE", f"{escaped(name)} is no part of this ceremony")
        faults.append(replace(stray, file=name))
    return faults


def strangers(names: Iterable[str], sealed: Iterable[str]) -> list[str]:
    """Return the names in a bundle that are neither outputs nor any of its own files."""
    known = {*bundle.RESERVED, *sealed}
    return [n for n in sorted(names) if n not in known and not countersign.is_countersignature(n)]


def check_countersignatures(
    files: Mapping[str, Stored], policy: Policy | None, *, closed: bool
) -> tuple[tuple[str, ...], int, list[Fault]]:
    """TRN-COUNTERSIGNATURE: enough distinct persons other than the administrator signed.

    Before the close line nobody is missing yet, and where no policy was read nobody is named;
    a signature that does not hold is said all the same.
    """
    signatures = {n: octets_of(d) for n, d in files.items() if countersign.is_countersignature(n)}
    if policy is None and not closed:
        return (), 0, []
    if policy is None:
        text = "there is no policy that names anybody who could have signed this"
        nobody = [fault(Verdict.FORGED, "TRN-COUNTERSIGNATURE", text)] if signatures else []
        return (), 0, nobody
    checkpoint = octets_of(files.get(bundle.CHECKPOINT, b""))
    counted = countersign.count(policy, signatures, checkpoint)
    faults = [Fault(Verdict.FORGED, finding) for finding in counted.findings]
    if not closed:
        return (), 0, faults
    needed = policy.countersignatures.threshold
    if len(counted.witnesses) < needed:
        text = f"{len(counted.witnesses)} of {needed} witnesses signed the checkpoint"
        faults.append(fault(Verdict.INCOMPLETE, "TRN-COUNTERSIGNATURE", text))
    return counted.witnesses, needed, faults
