"""Reading a medium: one walk, one sealed copy of the image while hashing, nothing twice.

MED-SPECIAL, MED-SPARSE, MED-COUNT, MED-SIZE, MED-PATH, MED-CHANGED are findings for the engine to
judge; a medium that stops answering is MediaTrouble (MED-GONE), as is a machine without the memory
for the copy (MED-MEMORY). Files are opened without following links, checked to be regular on
the descriptor, and read with a cap on the descriptor as well. What is wrong with the image is
refused; any other file is passed over with a line, whatever is wrong with it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from ceremony.artifact_names import fits
from ceremony.attest.nar_media import (
    MOST_ARCHIVES,
    SLACK,
    looks_like_nar,
)
from ceremony.blobs import blob_of, to_blob
from ceremony.content import Content, InMemory
from ceremony.errors import MediaTrouble, Refused
from ceremony.events import ManifestEntry, MediaRead, PolicyRead
from ceremony.ingest import limits
from ceremony.ingest.archives import read_archive
from ceremony.ingest.reading import is_utf8
from ceremony.ingest.sealed_copy import ROOT, require_memory, sealed_copy
from ceremony.ingest.steady import FLAGS, SteadyFile
from ceremony.ingest.taking import Taking, held_in_json, in_json, over_cap
from ceremony.ingest.walking import FORBIDDEN, walk
from ceremony.pe.digest import FileSha256, file_sha256
from ceremony.ports import Report
from ceremony.show import counted, escaped
from ceremony.types import MediaFile


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is wanted of a medium: an image of these names and size; whom the reading is told."""

    names: tuple[str, ...]
    most_bytes: int
    report: Report
    root: Path


@dataclass(frozen=True, slots=True)
class FolderMedia:
    """A mounted medium (a folder), and the policy file that governs the ceremony.

    `root` is where the machine tells of its memory.
    """

    folder: Path
    policy: Path
    root: Path = ROOT

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
    ) -> tuple[MediaRead, Content]:
        """Copy the image named one of `names` and all small files, each byte read once."""
        taking, wanted = Taking(), _Wanted(names, most_bytes, report, self.root)
        try:
            for path, name, folder in walk(self.folder, taking.told, taking.stop):
                _take(path, name, folder, wanted, taking)
        except OSError as error:
            raise _gone(self.folder, error) from None
        image, copy = taking.image or (None, InMemory(b""))
        again = file_sha256(copy).hex if image else ""
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
        return media, copy

    def require_memory(self, names: tuple[str, ...], copies: int) -> None:
        """MED-MEMORY: there is room for so many copies of the image that lies here, if one does.

        What else may be wrong with the medium is for `read` to say.
        """
        taking = Taking()
        with suppress(OSError):
            for path, name, folder in walk(self.folder, taking.told, taking.stop):
                if fits(names, path):
                    size = os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
                    require_memory(size * copies, escaped(path), self.root)


def _take(path: str, name: str, folder: int, wanted: _Wanted, taking: Taking) -> None:
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
    try:
        if is_image:
            _take_image(path, descriptor, wanted, taking)
        elif looks_like_nar(path):
            _take_archive(path, descriptor, wanted, taking)
        else:
            _take_small(path, descriptor, taking)
    except Refused as error:
        say(error.findings[0].rule, error.findings[0].text)


def _take_image(path: str, descriptor: int, wanted: _Wanted, taking: Taking) -> None:
    """Read the image once, into its digest and its sealed copy; raises Refused (MED-...)."""
    shown, digest = escaped(path), FileSha256()
    with SteadyFile(descriptor, shown, wanted.most_bytes, 0) as file:
        file.require_no_hole()
        what = f"copying {escaped(path, 40)}" if file.size > limits.CHUNK else ""
        copy = sealed_copy(file, wanted.report, digest, root=wanted.root, what=what)
    found = ManifestEntry(path, len(copy), digest.digest().hex)
    taking.image = (found, copy)
    taking.names += in_json(path)
    taking.manifest.append(found)


def _take_archive(path: str, descriptor: int, wanted: _Wanted, taking: Taking) -> None:
    """Read an archive as large as the image once; it leaves its digest and what it holds."""
    shown, most = escaped(path), wanted.most_bytes + SLACK
    with SteadyFile(descriptor, shown, most, 0) as file:
        if len(taking.archives) == MOST_ARCHIVES:
            taking.told.warn("MED-SIZE", f"{shown}: at most {MOST_ARCHIVES} archives are read")
            return
        file.require_no_hole()
        facts, sha256 = read_archive(path, file, most, taking.purse, wanted.report)
        taking.manifest.append(ManifestEntry(path, file.size, sha256))
    taking.archives.append(facts)
    taking.names += in_json(path)


def _take_small(path: str, descriptor: int, taking: Taking) -> None:
    """Read a small file whole, if it holds still meanwhile."""
    room = limits.MOST_SMALL_TOTAL - taking.small
    cap = min(limits.MOST_SMALL_FILE, room)
    try:
        before = os.fstat(descriptor)
        size = before.st_size
        if size > cap and stat.S_ISREG(before.st_mode):
            taking.told.warn("MED-SIZE", f"{escaped(path)} has {over_cap(size, cap, room)}")
            return
        copy, steady = _copied(descriptor, before, cap)
    finally:
        os.close(descriptor)
    if not steady:
        taking.told.warn("MED-CHANGED", f"{escaped(path)} changed while it was read: not kept")
        return
    blob, named = blob_of(path, copy), in_json(path)
    held = named + held_in_json(blob, copy)
    if held > room:
        over = f"{counted(held)} in the transcript, over the cap of {room:,}"
        taking.told.warn("MED-SIZE", f"{escaped(path)} has {over}; it was not kept")
        return
    taking.small += held
    taking.files.append(blob)
    taking.names += named
    taking.manifest.append(ManifestEntry(path, size, hashlib.sha256(copy).hexdigest()))


def _copied(descriptor: int, before: os.stat_result, cap: int) -> tuple[bytes, bool]:
    """Read a file once; tell whether it was regular, of the size it had, and unchanged."""
    if not stat.S_ISREG(before.st_mode):
        return b"", False
    size = before.st_size
    # A buffer of a whole chunk for each of many small files costs more than reading them.
    most = min(limits.CHUNK, size + 1)
    copy = os.read(descriptor, most)
    if len(copy) != size:
        pieces = bytearray(copy)
        # What grows after its last byte was read is found by its size afterwards.
        while len(pieces) <= cap and len(pieces) != size and (chunk := os.read(descriptor, most)):
            pieces += chunk
        copy = bytes(pieces)
    after = os.fstat(descriptor)
    steady = len(copy) == size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
    return copy, steady


def _read_small(path: Path, most: int) -> bytes:
    """Read the policy or one signature of it; MED-GONE names the one that cannot be read."""
    try:
        descriptor = os.open(path, FLAGS)
        try:
            copy, steady = _copied(descriptor, os.fstat(descriptor), most)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _gone(path, error) from None
    if not steady or len(copy) > most:
        raise _gone(path, OSError(0, f"not a steady regular file of at most {most:,} bytes"))
    return copy


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
