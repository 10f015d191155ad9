"""The one copy of an image: nobody changes it, no machine without room begins, nothing is left."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rehearsing
from marks import accepts, refuses
from sbsigntools import test_large as large

from ceremony import policy as policies
from ceremony.content import octets_of, pieces_of
from ceremony.engine import ingest
from ceremony.errors import MediaTrouble, Refused
from ceremony.events import MediaFailed, Outcome
from ceremony.ingest import sealed_copy
from ceremony.ingest.media import FolderMedia
from ceremony.ingest.on_disk import OnDisk
from ceremony.ingest.sealed_copy import SealedCopy, copy_file, require_memory
from ceremony.pe.digest import file_sha256
from tui.rehearsal.prepare import Prepared, prepare

CONTENT = os.urandom((3 << 20) + 17)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "anchor.efi"
    path.write_bytes(CONTENT)
    return path


def write_to_it(descriptor: int) -> None:
    os.pwrite(descriptor, b"other", 0)


def append(descriptor: int) -> None:
    os.lseek(descriptor, 0, os.SEEK_END)
    os.write(descriptor, b"more")


def cut(descriptor: int) -> None:
    os.ftruncate(descriptor, 1)


def lengthen(descriptor: int) -> None:
    os.ftruncate(descriptor, len(CONTENT) + 1)


def map_it_for_writing(descriptor: int) -> None:
    mmap.mmap(descriptor, len(CONTENT), mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)


def allocate_more(descriptor: int) -> None:
    os.posix_fallocate(descriptor, 0, len(CONTENT) + 4096)


def write_by_another_name(descriptor: int) -> None:
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
    try:
        os.pwrite(again, b"other", 0)
    finally:
        os.close(again)


def write_from_another_process(descriptor: int) -> None:
    program = "import os, sys; os.pwrite(int(sys.argv[1]), b'other', 0)"
    words = [sys.executable, "-I", "-c", program, str(descriptor)]
    done = subprocess.run(words, pass_fds=(descriptor,), capture_output=True, check=False)
    if b"PermissionError" in done.stderr:
        raise PermissionError(errno.EPERM, "the other process was not permitted")


@pytest.mark.parametrize(
    "change",
    [
        write_to_it,
        append,
        cut,
        lengthen,
        map_it_for_writing,
        allocate_more,
        write_by_another_name,
        write_from_another_process,
    ],
)
def test_83_nobody_writes_to_the_copy_any_more(change: Callable[[int], None], file: Path) -> None:
    copy = copy_file(file, 1 << 30)
    with pytest.raises(PermissionError):
        change(copy.fileno())
    assert len(copy) == len(CONTENT)
    assert octets_of(copy) == CONTENT


def test_the_copy_of_a_ceremony_is_sealed_and_hashed_again(file: Path) -> None:
    media, image = FolderMedia(file.parent, file).read((file.name,), 1 << 30, lambda _: None)
    assert media.image is not None
    assert isinstance(image, SealedCopy)
    with pytest.raises(PermissionError):
        os.pwrite(image.fileno(), b"other", 0)
    assert media.image.sha256 == media.image_again == hashlib.sha256(CONTENT).hexdigest()
    assert file_sha256(image).hex == media.image_again


@refuses("MED-CHANGED")
def test_what_was_written_to_the_copy_before_it_was_sealed_is_found(prepared: Prepared) -> None:
    image = prepared.media / "anchor.efi"
    large.grow(image, 2)

    def report(_: object) -> None:  # as another process of this user could, through /proc
        for path in Path("/proc/self/fd").iterdir():
            if path.is_symlink() and path.readlink().name.startswith("memfd:image"):
                with path.open("r+b", buffering=0) as file:
                    file.write(b"ZM")

    media, copy = FolderMedia(prepared.media, prepared.policy).read((image.name,), 1 << 30, report)
    assert media.image is not None
    assert bytes(copy.part(0, 2)) == b"ZM"
    assert media.image.sha256 == file_sha256(image.read_bytes()).hex
    assert media.image_again == file_sha256(copy).hex != media.image.sha256
    policy = policies.load(prepared.policy.read_bytes())
    verdict = ingest._judge(policy, media)
    assert verdict.outcome is Outcome.REFUSED
    assert [finding.rule for finding in verdict.findings] == ["MED-CHANGED"]


def test_parts_end_where_the_copy_ends(file: Path) -> None:
    copy = copy_file(file, 1 << 30)
    size = len(CONTENT)
    assert copy.part(5, 9) == CONTENT[5:9]
    assert copy.part(size - 3, size + 100) == CONTENT[-3:]
    assert copy.part(size, size + 1) == copy.part(9, 5) == b""
    assert b"".join(pieces_of(copy, 3, size - 3)) == CONTENT[3:-3]
    assert max(len(piece) for piece in pieces_of(copy)) <= 1 << 20


def test_the_memory_is_free_again_with_the_copy(file: Path) -> None:
    before = open_files()
    copy = copy_file(file, 1 << 30)
    assert len(open_files()) == len(before) + 1
    del copy
    assert open_files() == before


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def meminfo(root: Path, kibibytes: int) -> Path:
    (root / "proc").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:   {kibibytes} kB\n")
    return root


@accepts("MED-MEMORY")
def test_a_machine_with_just_the_room(file: Path, tmp_path: Path) -> None:
    needed = (len(CONTENT) + sealed_copy.SLACK + 1023) // 1024
    root = meminfo(tmp_path / "root", needed)
    media, image = FolderMedia(file.parent, file, root).read((file.name,), 1 << 30, lambda _: None)
    assert media.image is not None
    assert octets_of(image) == CONTENT
    require_memory(1 << 60, "a machine that says nothing of its memory", tmp_path)


@refuses("MED-MEMORY")
def test_a_machine_with_too_little_room_copies_nothing(file: Path, tmp_path: Path) -> None:
    needed = (len(CONTENT) + sealed_copy.SLACK) // 1024 - 1
    root = meminfo(tmp_path / "root", needed)
    before = open_files()
    with pytest.raises(MediaTrouble, match=r"anchor\.efi needs .* of memory") as trouble:
        FolderMedia(file.parent, file, root).read((file.name,), 1 << 30, lambda _: None)
    assert trouble.value.rule == "MED-MEMORY"
    assert open_files() == before


@refuses("MED-MEMORY")
def test_nobody_begins_on_a_machine_that_cannot_hold_the_image(prepared: Prepared) -> None:
    image = prepared.media / "anchor.efi"
    there = image.read_bytes()
    os.truncate(image, 1 << 42)  # 4 TiB, none of it on the disk
    with pytest.raises(MediaTrouble) as trouble:
        rehearsing.held(prepared)
    assert trouble.value.rule == "MED-MEMORY"
    assert not prepared.out.exists()
    assert not any(path.stat().st_size for log in prepared.logs for path in log.iterdir())
    image.write_bytes(there)
    assert rehearsing.held(prepared).released


@refuses("MED-MEMORY")
def test_memory_that_ends_while_copying_leaves_nothing(file: Path) -> None:
    program = f"""
import os, resource, sys
from pathlib import Path
from ceremony.errors import MediaTrouble
from ceremony.ingest.media import FolderMedia
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
before = sorted(os.listdir("/proc/self/fd"))
path = Path({str(file)!r})
try:
    FolderMedia(path.parent, path).read((path.name,), 1 << 30, lambda _: None)
except MediaTrouble as trouble:
    print(trouble.rule, "nothing was kept" in trouble.text)
print(sorted(os.listdir("/proc/self/fd")) == before)
"""
    words = [sys.executable, "-I", "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["MED-MEMORY", "True", "True"], done.stderr


@refuses("MED-MEMORY")
def test_memory_that_ends_in_a_ceremony_is_recorded_and_it_goes_on_later(tmp_path: Path) -> None:
    image = tmp_path / "anchor.efi"
    large.grow(image, 1)
    prepared = prepare(tmp_path / "r", image)
    program = f"""
import resource
from pathlib import Path
from ceremony.errors import MediaTrouble
from tui.commands.rehearse import places_of
from tui.rehearsal.prepare import reopen
from tui.rehearsal.script import UnattendedFace
from tui.wiring import hold
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
prepared = reopen(Path({str(prepared.folder)!r}))
try:
    hold(places_of(prepared), UnattendedFace(prepared.sheet))
except MediaTrouble:
    print("over")
"""
    words = [sys.executable, "-I", "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("over\n"), done.stderr
    assert not prepared.out.exists()
    (failed, *_) = [e for e in rehearsing.events(prepared) if isinstance(e, MediaFailed)]
    assert failed.rule == "MED-MEMORY"
    assert rehearsing.held(prepared).released
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, len(CONTENT) - 1)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(0, 1))


def swap(path: Path) -> None:
    (path.parent / "new").write_bytes(CONTENT)
    (path.parent / "new").replace(path)


def turn_into_a_link(path: Path) -> None:
    path.rename(path.parent / "old")
    path.symlink_to("old")


CHANGES = [grow, shrink, overwrite]


@refuses("MED-CHANGED")
@pytest.mark.parametrize("change", CHANGES)
def test_an_image_that_changes_while_it_is_copied(
    change: Callable[[Path], None], file: Path
) -> None:
    left = [change]

    def report(_: object) -> None:  # after a first chunk was read, before the last
        if left:
            left.pop()(file)

    media, image = FolderMedia(file.parent, file).read((file.name,), 1 << 30, report)
    assert [problem.rule for problem in media.problems] == ["MED-CHANGED"]
    assert media.image is None
    assert len(image) == 0


@accepts("MED-CHANGED")
def test_a_file_on_the_disk_that_stays_as_it_was(file: Path) -> None:
    there = OnDisk(file)
    assert octets_of(there) == CONTENT
    assert there.part(len(CONTENT), len(CONTENT) + 5) == b""


@refuses("MED-CHANGED", "MED-SPECIAL")
@pytest.mark.parametrize("change", [*CHANGES, swap, turn_into_a_link])
def test_a_file_on_the_disk_that_changes_between_two_looks(
    change: Callable[[Path], None], file: Path
) -> None:
    there = OnDisk(file)
    assert there.part(0, 5) == CONTENT[:5]
    change(file)
    with pytest.raises(Refused) as refused:
        octets_of(there)
    assert refused.value.findings[0].rule in {"MED-CHANGED", "MED-SPECIAL"}


@refuses("MED-SPECIAL")
def test_a_link_is_neither_copied_nor_looked_at(file: Path) -> None:
    link = file.with_name("link.efi")
    link.symlink_to(file.name)
    for take in (OnDisk, lambda path: copy_file(path, 1 << 30)):
        with pytest.raises(Refused) as refused:
            take(link)
        assert refused.value.findings[0].rule == "MED-SPECIAL"
