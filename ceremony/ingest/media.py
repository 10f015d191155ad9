"""Reading a medium: one walk, one copy of the image in memory while hashing, nothing twice.

MED-SPECIAL, MED-COUNT, MED-SIZE, MED-CHANGED are findings for the engine to judge; a medium
that stops answering is MediaTrouble (MED-GONE). Files are opened without following links,
checked to be regular on the descriptor, and read with a cap on the descriptor as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from ceremony.artifact_names import fits
from ceremony.attest.nar_media import (
    MOST_ARCHIVES,
    SLACK,
    NarFacts,
    looks_like_nar,
)
from ceremony.blobs import blob_of, to_blob
from ceremony.effects import Buffer
from ceremony.errors import MediaTrouble, Refused
from ceremony.events import Blob, ManifestEntry, MediaRead, PolicyRead
from ceremony.ingest import limits
from ceremony.ingest.archives import read_archive
from ceremony.ingest.reading import FLAGS, is_utf8
from ceremony.ingest.steady import SteadyFile
from ceremony.ingest.unpacking import Purse
from ceremony.ingest.walking import FORBIDDEN, Told, walk
from ceremony.ports import Progress, Report
from ceremony.show import counted, escaped
from ceremony.types import MediaFile

_ESCAPED = b'\n\t"\\'  # in two bytes
_ENCODER = json.JSONEncoder(ensure_ascii=False)


@dataclass(slots=True)
class _Taking:
    """What one reading of a medium gathers."""

    told: Told = field(default_factory=Told)
    manifest: list[ManifestEntry] = field(default_factory=list)
    files: list[Blob] = field(default_factory=list)
    names: int = 0
    image: tuple[ManifestEntry, bytearray] | None = None
    small: int = 0
    archives: list[NarFacts] = field(default_factory=list)
    purse: Purse = field(default_factory=Purse)

    def stop(self, files: int, path: str) -> str:
        """Return why nothing more is read, if so."""
        if files > limits.MOST_FILES:
            return f"more than {limits.MOST_FILES:,} files"
        # No character takes more than the six bytes of \u0000.
        near = self.names + 6 * len(path) + 2 > limits.MOST_NAMES
        if near and self.names + _in_json(path) > limits.MOST_NAMES:
            return f"the names of the files are over {counted(limits.MOST_NAMES)} together"
        if len(self.told.refusals) >= limits.MOST_REFUSALS:
            return f"reading stopped after {limits.MOST_REFUSALS:,} refusals"
        return ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is wanted of a medium: an image of these names and size; whom the reading is told."""

    names: tuple[str, ...]
    most_bytes: int
    report: Report


@dataclass(frozen=True, slots=True)
class FolderMedia:
    """A mounted medium (a folder), and the policy file that governs the ceremony."""

    folder: Path
    policy: Path

    def read_policy(self) -> PolicyRead:
        """Return the policy and every file beside it named like it with a signature's ending."""
        try:
            data = _read_small(self.policy, limits.MOST_POLICY)
            names = sorted(
                path.name
                for path in self.policy.parent.iterdir()
                if path.name.startswith(self.policy.name + ".")
                and path.name.endswith(".sshsig")
                and is_utf8(path.name)
            )
            signatures = [
                MediaFile(
                    f"policy.toml{name.removeprefix(self.policy.name)}",
                    _read_small(self.policy.parent / name, limits.MOST_POLICY_SIGNATURE),
                )
                for name in names[: limits.MOST_POLICY_SIGNATURES]
            ]
        except OSError as error:
            raise _gone(self.policy, error) from None
        return PolicyRead(
            to_blob(MediaFile("policy.toml", data)), tuple(to_blob(file) for file in signatures)
        )

    def read(
        self, names: tuple[str, ...], most_bytes: int, report: Report
    ) -> tuple[MediaRead, Buffer]:
        """Copy the image named one of `names` and all small files, each byte read once."""
        taking, wanted = _Taking(), _Reading(names, most_bytes, report)
        try:
            for path, name, folder in walk(self.folder, taking.told, taking.stop):
                _take(path, name, folder, wanted, taking)
        except OSError as error:
            raise _gone(self.folder, error) from None
        image, copy = taking.image or (None, bytearray())
        view = memoryview(copy).toreadonly()
        again = hashlib.sha256(view).hexdigest() if image else ""
        # By their bytes: UTF-8 sorts as code points do.
        taking.manifest.sort(key=attrgetter("path"))
        taking.files.sort(key=attrgetter("path"))
        media = MediaRead(
            source=_shown(self.folder),
            mount=_mount_options(self.folder),
            manifest=tuple(taking.manifest),
            image=image,
            image_again=again,
            files=tuple(taking.files),
            archives=tuple(sorted(taking.archives, key=attrgetter("path"))),
            problems=taking.told.problems(),
        )
        return media, view


def _take(path: str, name: str, folder: int, wanted: _Reading, taking: _Taking) -> None:
    """Open one file, look at it on its descriptor, and keep what belongs to it."""
    is_image = fits(wanted.names, path)
    if is_image and taking.image is not None:
        text = f"{escaped(path)} is a second file with a name of the image; it was not read"
        taking.told.refuse("MED-IMAGE", text)
        return
    say = taking.told.refuse if is_image else taking.told.warn
    try:
        descriptor = os.open(name, FLAGS, dir_fd=folder)
    except OSError as error:
        if error.errno not in FORBIDDEN:
            raise
        say("MED-PATH", f"{escaped(path)} may not be read")
        return
    if looks_like_nar(path) and not is_image:
        _take_archive(path, descriptor, wanted, taking)
        return
    room = limits.MOST_SMALL_TOTAL - taking.small
    cap = wanted.most_bytes if is_image else min(limits.MOST_SMALL_FILE, room)
    try:
        before = os.fstat(descriptor)
        size = before.st_size
        if size > cap and stat.S_ISREG(before.st_mode):
            say("MED-SIZE", f"{escaped(path)} has {_over(size, cap, room)}; it was not read")
            return
        copy, steady = _copied(descriptor, before, path, cap, wanted.report)
    finally:
        os.close(descriptor)
    if not steady:
        taking.told.refuse("MED-CHANGED", f"{escaped(path)} changed while it was read")
    found = ManifestEntry(path, len(copy), hashlib.sha256(copy).hexdigest())
    named = _in_json(path)
    if is_image:
        taking.image = (found, bytearray(copy) if isinstance(copy, bytes) else copy)
    else:
        blob = blob_of(path, bytes(copy))
        held = named + _held(blob, copy)
        if held > room:
            over = f"{counted(held)} in the transcript, over the cap of {room:,}"
            taking.told.warn("MED-SIZE", f"{escaped(path)} has {over}; it was not kept")
            return
        taking.small += held
        taking.files.append(blob)
    taking.names += named
    taking.manifest.append(found)


def _over(size: int, cap: int, room: int) -> str:
    if cap == room:
        total = f"all small files together have {limits.MOST_SMALL_TOTAL:,}"
        return f"{counted(size)}, over the {cap:,} that are left: {total} at most"
    return f"{counted(size)}, over the cap of {cap:,}"


def _take_archive(path: str, descriptor: int, wanted: _Reading, taking: _Taking) -> None:
    """Read an archive as large as the image once; it leaves its digest and what it holds."""
    shown, most = escaped(path), wanted.most_bytes + SLACK
    try:
        with SteadyFile(descriptor, shown, most, 0) as file:
            if len(taking.archives) == MOST_ARCHIVES:
                taking.told.warn("MED-SIZE", f"{shown}: at most {MOST_ARCHIVES} archives are read")
                return
            if (hole := file.first_hole()) < file.size:
                text = f"{shown} is a sparse file: nothing was ever written at {hole:#x}"
                taking.told.warn("MED-SPARSE", f"{text}; it was not read")
                return
            facts, sha256 = read_archive(path, file, most, taking.purse, wanted.report)
            taking.manifest.append(ManifestEntry(path, file.size, sha256))
    except Refused as error:
        (fault,) = error.findings
        say = taking.told.refuse if fault.rule == "MED-CHANGED" else taking.told.warn
        say(fault.rule, fault.text)
        return
    taking.archives.append(facts)
    taking.names += _in_json(path)


def _in_json(text: str) -> int:
    """Return how many bytes a string has as a transcript's JSON."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return len(text) + 2
    return len(_ENCODER.encode(text).encode())


def _held(blob: Blob, copy: bytes | bytearray) -> int:
    """Return how many bytes a blob's content has as a transcript's JSON: to_blob left no others."""
    if blob.encoding != "utf-8":
        return len(blob.content) + 2
    return 2 * len(copy) + 2 - len(copy.translate(None, _ESCAPED))


def _copied(
    descriptor: int, before: os.stat_result, shown: str, cap: int, report: Report
) -> tuple[bytes | bytearray, bool]:
    """Read a file once; tell whether it was regular, of the size it had, and unchanged."""
    if not stat.S_ISREG(before.st_mode):
        return b"", False
    size = before.st_size
    large = size > limits.CHUNK
    # A buffer of a whole chunk for each of many small files costs more than reading them.
    most = limits.CHUNK if large else size + 1
    copy: bytes | bytearray = os.read(descriptor, most)
    if large or len(copy) != size:
        copy = bytearray(copy)
        # What grows after its last byte was read is found by its size afterwards.
        while len(copy) <= cap and len(copy) != size and (chunk := os.read(descriptor, most)):
            copy += chunk
            if large:
                report(Progress(f"copying {escaped(shown, 40)}", len(copy), size, "bytes"))
    after = os.fstat(descriptor)
    steady = len(copy) == size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
    return copy, steady


def _read_small(path: Path, most: int) -> bytes:
    descriptor = os.open(path, FLAGS)
    try:
        before = os.fstat(descriptor)
        copy, steady = _copied(descriptor, before, path.name, most, lambda _: None)
    finally:
        os.close(descriptor)
    if not steady or len(copy) > most:
        raise OSError(0, f"not a steady regular file of at most {most:,} bytes")
    return bytes(copy)


MOST_PATH = 4096  # PATH_MAX
_POINT, _OPTIONS = 4, 5  # columns of proc(5) mountinfo


def _mount_options(folder: Path) -> str:
    """Return the mount options of the file system `folder` is on, "unknown" if unreadable."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return "unknown"
    best = ("", "unknown")
    real = os.path.realpath(folder)
    for line in lines:
        fields = line.split()
        if len(fields) > _OPTIONS:
            point = fields[_POINT].encode().decode("unicode_escape", "replace")
            inside = real == point or real.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best[0]):
                best = (point, fields[_OPTIONS])
    return best[1]


def _gone(path: Path, error: OSError) -> MediaTrouble:
    return MediaTrouble("MED-GONE", f"{_shown(path)}: {error.strerror or error}")


def _shown(path: Path) -> str:
    text = str(path)
    return text if is_utf8(text) else escaped(text, MOST_PATH)
