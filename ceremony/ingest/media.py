"""Reading a medium: one walk, one sealed copy of the image while hashing, nothing twice.

MED-SPECIAL, MED-SPARSE, MED-COUNT, MED-SIZE, MED-CHANGED are findings for the engine to judge; a
medium that stops answering is MediaTrouble (MED-GONE), as is a machine without the memory for the
copy (MED-MEMORY). Files are opened without following links, checked to be regular on the
descriptor, and read with a cap on the descriptor as well.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ceremony.artifact_names import fits
from ceremony.attest.nar_media import (
    MOST_ARCHIVES,
    SLACK,
    looks_like_nar,
)
from ceremony.blobs import to_blob
from ceremony.content import Content, InMemory
from ceremony.errors import MediaTrouble, Refused
from ceremony.events import ManifestEntry, MediaRead, PolicyRead
from ceremony.ingest import limits
from ceremony.ingest.archives import read_archive
from ceremony.ingest.reading import is_utf8
from ceremony.ingest.sealed_copy import ROOT, require_memory, sealed_copy
from ceremony.ingest.steady import kind_of, open_itself
from ceremony.ingest.taking import Taking, held_in_json, in_json, over_cap, why_stop
from ceremony.pe.digest import FileSha256, file_sha256
from ceremony.ports import Report
from ceremony.show import counted, escaped
from ceremony.types import MediaFile

SMALL = 1 << 14  # bytes; a buffer of a whole chunk for each of many small files costs more
_PAGE = 1 << 12


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
        taking = Taking()
        try:
            for path, entry in self._walk(taking):
                self._take(path, entry, names, most_bytes, taking, report)
        except OSError as error:
            raise _gone(self.folder, error) from None
        image, copy = taking.image or (None, InMemory(b""))
        again = file_sha256(copy).hex if image else ""
        taking.manifest.sort(key=lambda e: e.path.encode())
        taking.files.sort(key=lambda f: f.path.encode())
        media = MediaRead(
            source=_shown(self.folder),
            mount=_mount_options(self.folder),
            manifest=tuple(taking.manifest),
            image=image,
            image_again=again,
            files=tuple(taking.files),
            archives=tuple(sorted(taking.archives, key=lambda a: a.path.encode())),
            problems=taking.problems(),
        )
        return media, copy

    def require_memory(self, names: tuple[str, ...], copies: int) -> None:
        """MED-MEMORY: there is room for so many copies of the image that lies here, if one does.

        What else may be wrong with the medium is for `read` to say.
        """
        with suppress(OSError):
            for path, entry in self._walk(Taking()):
                if fits(names, path):
                    size = entry.stat(follow_symlinks=False).st_size
                    require_memory(size * copies, escaped(path), self.root)

    def _walk(self, taking: Taking) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield regular files, depth first by name; what is not one becomes a finding."""
        stack: list[tuple[Path, str, int]] = [(self.folder, "", 0)]
        files = folders = seen = 0
        while stack:
            folder, prefix, depth = stack.pop()
            with os.scandir(folder) as scan:
                found = list(islice(scan, limits.MOST_ENTRIES - seen + 1))
            seen += len(found)
            if seen > limits.MOST_ENTRIES:
                taking.refuse("MED-COUNT", f"more than {limits.MOST_ENTRIES:,} names")
                return
            for entry in sorted(found, key=lambda e: os.fsencode(e.name)):
                path = f"{prefix}{entry.name}"
                if not is_utf8(entry.name):
                    taking.warn("MED-SPECIAL", f"{escaped(path)} is not a UTF-8 name")
                elif entry.is_dir(follow_symlinks=False):
                    folders += 1
                    if depth + 1 > limits.MOST_DEPTH or folders > limits.MOST_FOLDERS:
                        taking.warn("MED-COUNT", f"{escaped(path)}: too many or deep folders")
                    else:
                        stack.append((folder / entry.name, f"{path}/", depth + 1))
                elif not entry.is_file(follow_symlinks=False):
                    kind = kind_of(entry.stat(follow_symlinks=False).st_mode)
                    taking.warn("MED-SPECIAL", f"{escaped(path)} is {kind}, not a regular file")
                else:
                    files += 1
                    if stop := why_stop(taking, files, path):
                        taking.refuse("MED-COUNT", stop)
                        return
                    yield path, entry

    def _take(  # noqa: PLR0913, PLR0917 - the walk's facts, each used once
        self,
        path: str,
        entry: os.DirEntry[str],
        names: tuple[str, ...],
        most_bytes: int,
        taking: Taking,
        report: Report,
    ) -> None:
        size = entry.stat(follow_symlinks=False).st_size
        is_image = fits(names, path)
        if is_image and taking.image is not None:
            text = f"{escaped(path)} is a second file with a name of the image; it was not read"
            taking.refuse("MED-IMAGE", text)
            return
        if is_image:
            try:
                self._pass_image(path, entry, size, most_bytes, taking, report)
            except Refused as error:
                taking.refuse(error.findings[0].rule, error.findings[0].text)
            return
        if looks_like_nar(path):
            try:
                self._pass_archive(path, entry, size, most_bytes + SLACK, taking, report)
            except Refused as error:
                taking.refuse("MED-CHANGED", error.findings[0].text)
            return
        room = limits.MOST_SMALL_TOTAL - taking.small
        cap = min(limits.MOST_SMALL_FILE, room)
        if size > cap:
            taking.warn("MED-SIZE", over_cap(path, size, cap))
            return
        copy, steady = _copy(entry.path, size, cap)
        if not steady:
            taking.refuse("MED-CHANGED", f"{escaped(path)} changed while it was read")
        found = ManifestEntry(path, len(copy), hashlib.sha256(copy).hexdigest())
        named = in_json(path)
        blob = to_blob(MediaFile(path, bytes(copy)))
        held = named + held_in_json(blob, copy)
        if held > room:
            over = f"{counted(held)} in the transcript, over the cap of {room:,}"
            taking.warn("MED-SIZE", f"{escaped(path)} has {over}; it was not kept")
            return
        taking.small += held
        taking.files.append(blob)
        taking.names += named
        taking.manifest.append(found)

    def _pass_image(  # noqa: PLR0913, PLR0917 - the walk's facts, each used once
        self,
        path: str,
        entry: os.DirEntry[str],
        size: int,
        most: int,
        taking: Taking,
        report: Report,
    ) -> None:
        """Read the image once, into its digest and its sealed copy; raises Refused (MED-...)."""
        if size > most:
            taking.refuse("MED-SIZE", over_cap(path, size, most))
            return
        shown, digest = escaped(path), FileSha256()
        with open_itself(entry.path, shown, most, 0) as file:
            what = f"copying {escaped(path, 40)}" if size > limits.CHUNK else ""
            copy = sealed_copy(file, report, digest, root=self.root, what=what)
        found = ManifestEntry(path, len(copy), digest.digest().hex)
        taking.image = (found, copy)
        taking.names += in_json(path)
        taking.manifest.append(found)

    def _pass_archive(  # noqa: PLR0913, PLR0917 - the walk's facts, each used once
        self,
        path: str,
        entry: os.DirEntry[str],
        size: int,
        most: int,
        taking: Taking,
        report: Report,
    ) -> None:
        """Read an archive as large as the image once; it leaves its digest and what it holds."""
        if size > most or len(taking.archives) == MOST_ARCHIVES:
            over = f"at most {MOST_ARCHIVES} archives of {most:,} bytes each are"
            taking.warn("MED-SIZE", f"{escaped(path)} has {counted(size)}; {over} read")
            return
        facts, sha256 = read_archive(path, Path(entry.path), most, taking.purse, report)
        taking.archives.append(facts)
        taking.names += in_json(path)
        taking.manifest.append(ManifestEntry(path, size, sha256))


def _copy(path: Path | str, size: int, cap: int) -> tuple[bytearray, bool]:
    """Read a small file once; tell whether it was regular, of the size listed, and unchanged."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return bytearray(), False
        copy = bytearray()
        # What grows after its last byte was read is found by its size afterwards.
        while len(copy) <= cap and (len(copy) != size or size != before.st_size):
            chunk = os.read(descriptor, limits.CHUNK if size > SMALL else max(size + 1, _PAGE))
            if not chunk:
                break
            copy += chunk
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    steady = (
        len(copy) == size == before.st_size == after.st_size
        and before.st_mtime_ns == after.st_mtime_ns
    )
    return copy, steady


def _read_small(path: Path, most: int) -> bytes:
    copy, steady = _copy(path, path.stat().st_size, most)
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
