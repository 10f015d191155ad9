"""The unsigned image of a bundle that is replayed: where its bytes are, and whether it is the one.

It lies in the bundle or is given beside it, and is found by its digest alone. Decides what is
said where it is not here, or where another image was given. It refuses to know the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceremony import bundle
from ceremony.content import Stored
from ceremony.events import ManifestEntry, MediaRead
from ceremony.pe.digest import file_sha256
from transcripts import threads
from transcripts.faults import Fault, Verdict, fault
from transcripts.log import Log


@dataclass(frozen=True, slots=True)
class Unseen:
    """The event from which on an image was needed that is not here, and the image's digest."""

    seq: int
    sha256: str


def contents_of(
    log: Log, files: Mapping[str, Stored], image: Stored | None = None
) -> dict[str, Stored]:
    """Return the unsigned images that the transcript names, by digest."""
    return contents(log, files, threads.digests(files), image)


def contents(
    log: Log, files: Mapping[str, Stored], digests: Mapping[str, str], image: Stored | None
) -> dict[str, Stored]:
    """Return the same, and the image that was given, where the files' digests are known."""
    names = {bundle.image_name(entry.path) for entry in _named(log)}
    given = {file_sha256(image).hex: image} if image is not None else {}
    return {digests[name]: files[name] for name in sorted(names & files.keys())} | given


def check_image(
    log: Log, here: Mapping[str, Stored], image: Stored | None, unseen: Unseen | None
) -> list[Fault]:
    """TRN-IMAGE: the image is here, and the one that was given is one that is named."""
    given = next((sha256 for sha256, content in here.items() if content is image), "")
    if unseen and given:
        text = (
            f"event {unseen.seq + 1}: the image that was given is another one. Its SHA-256 is "
            f"{given}, that of this ceremony's is {unseen.sha256}; give the file that went in"
        )
        return [fault(Verdict.INCOMPLETE, "TRN-IMAGE", text)]
    if unseen:
        text = (
            f"event {unseen.seq + 1}: the content with SHA-256 {unseen.sha256} is not here, and "
            "what needs it was not judged; give the unsigned image with --image"
        )
        return [fault(Verdict.INCOMPLETE, "TRN-IMAGE", text)]
    named = {entry.sha256 for entry in _named(log)}
    in_bundle = sorted(named & here.keys())
    if not given or given in named or not in_bundle:  # where none is here nothing went in yet
        return []
    text = f"the image that was given has the SHA-256 {given}; this ceremony's is in the bundle, "
    return [fault(Verdict.DIFFERS, "TRN-IMAGE", text + " or ".join(in_bundle))]


def _named(log: Log) -> list[ManifestEntry]:
    read = (line.event for line in log.lines if isinstance(line.event, MediaRead))
    return [event.image for event in read if event.image]
