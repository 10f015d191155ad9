"""ingest: one image, read once into memory; every surprise on the medium has its rule."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import rehearsing
from killing import run_and_die
from marks import accepts, refuses
from tokens.daemons import needed

from ceremony.blobs import from_blob, to_blob
from ceremony.codec import encode
from ceremony.errors import MediaTrouble, Refused
from ceremony.events import Blob, MediaRead
from ceremony.ingest import limits, media, world
from ceremony.ingest.media import FolderMedia
from ceremony.ingest.walking import Told, walk
from ceremony.types import MediaFile, Severity
from transcripts.canon import canonical
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold

NAMES = ("anchor.efi", "result/anchor.efi")


def read(folder: Path, most: int = 1 << 20) -> MediaRead:
    media, image = FolderMedia(folder, folder / "policy.toml").read(NAMES, most, lambda _: None)
    assert (media.image is None) == (len(image) == 0)
    return media


def rules(media: MediaRead) -> set[str]:
    return {problem.rule for problem in media.problems}


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    (folder / "attestations").mkdir(parents=True)
    (folder / "anchor.efi").write_bytes(b"image")
    (folder / "attestations/a.SHA256SUMS").write_bytes(b"sums")
    (folder / "z.bin").write_bytes(b"\xff\x00")
    return folder


@accepts("MED-IMAGE", "MED-SIZE", "MED-COUNT", "MED-SPECIAL", "MED-CHANGED", "MED-GONE")
def test_a_sound_stick(stick: Path) -> None:
    media = read(stick)
    assert media.problems == ()
    assert [e.path for e in media.manifest] == ["anchor.efi", "attestations/a.SHA256SUMS", "z.bin"]
    assert media.image == media.manifest[0]
    assert media.image_again == media.manifest[0].sha256
    assert [from_blob(b).data for b in media.files] == [b"sums", b"\xff\x00"]


@refuses("MED-CHANGED")
def test_a_small_file_that_grows_while_it_is_read_is_one_line(
    stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grows = stick / "attestations/a.SHA256SUMS"
    read_on = os.read

    def read_and_let_grow(descriptor: int, count: int) -> bytes:
        data = read_on(descriptor, count)
        if Path(f"/proc/self/fd/{descriptor}").readlink() == grows:
            with grows.open("ab") as file:
                file.write(b"more")
        return data

    monkeypatch.setattr(os, "read", read_and_let_grow)
    media = read(stick)
    (problem,) = media.problems
    assert (problem.rule, problem.severity) == ("MED-CHANGED", Severity.WARN)
    assert [e.path for e in media.manifest] == ["anchor.efi", "z.bin"]
    assert [from_blob(b).data for b in media.files] == [b"\xff\x00"]


@refuses("MED-SPECIAL")
def test_links_pipes_and_sockets_are_listed_and_never_opened(stick: Path) -> None:
    (stick / "link.efi").symlink_to("/etc/passwd")
    (stick / "up").symlink_to("..")
    os.mkfifo(stick / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(stick / "s"))
        media = read(stick)
    assert rules(media) == {"MED-SPECIAL"}
    assert len(media.problems) == 4
    assert len(media.manifest) == 3


@refuses("MED-SPECIAL", "MED-IMAGE")
def test_an_image_that_is_a_link_is_not_taken(stick: Path) -> None:
    (stick / "anchor.efi").rename(stick / "other")
    (stick / "anchor.efi").symlink_to("other")
    media = read(stick)
    assert media.image is None
    assert rules(media) == {"MED-SPECIAL"}


@refuses("MED-SPECIAL")
def test_a_name_that_is_not_utf_8_is_listed(stick: Path) -> None:
    (stick / os.fsdecode(b"\xff\xfe")).write_bytes(b"x")
    assert rules(read(stick)) == {"MED-SPECIAL"}


@refuses("MED-SIZE")
def test_caps_on_sizes(stick: Path) -> None:
    (stick / "big").write_bytes(bytes(limits.MOST_SMALL_FILE + 1))
    media = read(stick, most=4)
    severities = {(p.rule, p.severity) for p in media.problems}
    assert severities == {("MED-SIZE", Severity.WARN), ("MED-SIZE", Severity.REFUSE)}
    assert media.image is None


@refuses("MED-COUNT")
def test_deep_folders_are_bounded(stick: Path) -> None:
    deep = stick
    for _ in range(limits.MOST_DEPTH + 3):
        deep /= "d"
        deep.mkdir()
    assert rules(read(stick)) == {"MED-COUNT"}


@refuses("MED-COUNT")
def test_many_files_are_bounded(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_FILES", 10)
    for number in range(20):
        (stick / f"f{number}").write_bytes(b"")
    media = read(stick)
    assert [p for p in media.problems if p.severity is Severity.REFUSE]
    assert len(media.manifest) == 10


@refuses("MED-IMAGE")
def test_two_files_with_names_of_the_image(stick: Path) -> None:
    (stick / "result").mkdir()
    (stick / "result/anchor.efi").write_bytes(b"another")
    assert rules(read(stick)) == {"MED-IMAGE"}


@refuses("MED-GONE")
def test_a_stick_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(MediaTrouble) as trouble:
        read(tmp_path / "nothing")
    assert trouble.value.rule == "MED-GONE"


@refuses("MED-IMAGE")
def test_a_stick_without_the_image_is_read_again_until_it_is_there(prepared: Prepared) -> None:
    image = prepared.media / "anchor.efi"
    image.rename(prepared.folder / "away.efi")
    with pytest.raises(MediaTrouble, match="asked again and again"):
        rehearsing.held(prepared)
    (prepared.folder / "away.efi").rename(image)
    assert rehearsing.held(prepared).released
    assert rehearsing.names(prepared).count("ingest.again") >= 8
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@refuses("MED-GONE")
def test_a_stick_that_vanishes_is_said_and_may_come_back(prepared: Prepared) -> None:
    prepared.media.rename(prepared.folder / "away")
    with pytest.raises(MediaTrouble, match="asked again and again"):
        rehearsing.held(prepared)
    (prepared.folder / "away").rename(prepared.media)
    assert rehearsing.held(prepared).released
    assert "ingest.failed" in rehearsing.names(prepared)


@refuses("MED-RESUME")
def test_another_image_on_the_stick_does_not_resume(prepared: Prepared) -> None:
    run_and_die(prepared, "after", "20")
    (prepared.media / "anchor.efi").write_bytes(rehearsing.tiny_uki(b"2"))
    with pytest.raises(Refused) as refused:
        rehearsing.held(prepared)
    assert refused.value.findings[0].rule == "MED-RESUME"
    (prepared.media / "anchor.efi").write_bytes(rehearsing.tiny_uki())
    assert rehearsing.held(prepared).released


def test_the_stick_is_never_read_again_after_it_was_taken_out(prepared: Prepared) -> None:
    class TakesItOut(ScriptFace):
        def recorded(self, event: object, head: object) -> None:
            if getattr(event, "name", "") == "ingest.removed":
                prepared.media.rename(prepared.folder / "in-a-bag")

    places = rehearsing.places_of(prepared)
    assert hold(places, TakesItOut(prepared.sheet)).released


def test_83_an_image_swapped_on_the_stick_after_it_was_hashed_is_not_what_is_signed(
    prepared: Prepared,
) -> None:
    hashed = (prepared.media / "anchor.efi").read_bytes()
    other = rehearsing.tiny_uki(b"2")
    assert len(other) == len(hashed)
    assert other != hashed

    class Swaps(ScriptFace):
        def recorded(self, event: object, head: object) -> None:
            if getattr(event, "name", "") == "ingest.media":
                with (prepared.media / "anchor.efi").open("r+b") as file:  # the very same inode
                    file.write(other)

    assert hold(rehearsing.places_of(prepared), Swaps(prepared.sheet)).released
    assert (prepared.media / "anchor.efi").read_bytes() == other
    assert (prepared.out / "anchor.efi").read_bytes() == hashed
    signed = (prepared.out / "anchor.signed.efi").read_bytes()
    assert signed[0x200 : len(hashed)] == hashed[0x200:] != other[0x200:]
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@pytest.mark.parametrize("data", [b"text\n", b"a\r\n", b"\x00", b"\xff", "ä\u2028".encode(), b""])
def test_small_files_come_back_as_they_were(data: bytes) -> None:
    assert from_blob(to_blob(MediaFile("p", data))).data == data


@pytest.mark.parametrize("blob", [Blob("p", "base64", "x"), Blob("p", "rot13", "")])
def test_a_blob_of_no_known_form_is_refused(blob: Blob) -> None:
    with pytest.raises(Refused):
        from_blob(blob)


@refuses("MED-IMAGE", "MED-SIZE")
def test_a_refusal_is_not_crowded_out_by_links(stick: Path) -> None:
    for number in range(limits.MOST_WARNINGS + 10):
        (stick / f"a{number}").symlink_to("anchor.efi")
    (stick / "result").mkdir()
    (stick / "result/anchor.efi").write_bytes(b"another")
    media = read(stick)
    warnings = [p.text for p in media.problems if p.severity is Severity.WARN]
    assert [p.rule for p in media.problems if p.severity is Severity.REFUSE] == ["MED-IMAGE"]
    assert len(warnings) == limits.MOST_WARNINGS + 1
    assert "10 more warnings are not listed" in warnings
    (stick / "result/anchor.efi").unlink()
    assert "MED-SIZE" in {
        p.rule for p in read(stick, most=4).problems if p.severity is Severity.REFUSE
    }


@refuses("MED-COUNT")
def test_links_alone_are_counted_too(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_ENTRIES", 50)
    for number in range(60):
        (stick / f"l{number}").symlink_to("anchor.efi")
    problems = [p for p in read(stick).problems if p.severity is Severity.REFUSE]
    assert [p.rule for p in problems] == ["MED-COUNT"]


@refuses("MED-COUNT")
def test_reading_stops_after_many_refusals(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_REFUSALS", 1)
    (stick / "result").mkdir()
    (stick / "result/anchor.efi").write_bytes(b"another")
    (stick / "result/later").write_bytes(b"")
    found = [p.rule for p in read(stick).problems if p.severity is Severity.REFUSE]
    assert found == ["MED-IMAGE", "MED-COUNT"]


@refuses("MED-COUNT")
def test_the_names_of_a_manifest_are_bounded(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_NAMES", 600)
    for number in range(10):
        (stick / f"{number:0>200}").write_bytes(b"")
    media = read(stick)
    assert rules(media) == {"MED-COUNT"}
    assert sum(len(entry.path) for entry in media.manifest) <= 600


@refuses("MED-SIZE")
def test_what_a_medium_adds_to_the_transcript_is_bounded(stick: Path) -> None:
    for number in range(15):
        (stick / f"text{number:02}").write_bytes(b'"' * 2**20)
        (stick / f"void{number:02}").write_bytes(bytes(2**20))
    media = read(stick)
    assert rules(media) == {"MED-SIZE"}
    assert {p.severity for p in media.problems} == {Severity.WARN}
    assert len(canonical(encode(media))) < 32 * 2**20
    kept = {blob.path for blob in media.files}
    assert kept | {"anchor.efi"} == {entry.path for entry in media.manifest}
    assert len(kept) > 11


@accepts("MED-GONE")
def test_names_beside_the_policy_that_are_not_utf_8_are_skipped(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"stick\xff")
    folder.mkdir()
    (folder / "policy.toml").write_bytes(b"policy")
    (folder / "policy.toml.owner.sshsig").write_bytes(b"sig")
    (folder / os.fsdecode(b"policy.toml.\xff.sshsig")).write_bytes(b"sig")
    medium = FolderMedia(folder, folder / "policy.toml")
    policy = medium.read_policy()
    assert [blob.path for blob in policy.signatures] == ["policy.toml.owner.sshsig"]
    media, _ = medium.read(NAMES, 100, lambda _: None)
    assert media.source == f"{tmp_path}/stick\\udcff"
    canonical(encode(media))


@refuses("MED-GONE")
def test_a_policy_s_signatures_are_small_and_trouble_is_told_in_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"stick\xff")
    folder.mkdir()
    (folder / "policy.toml").write_bytes(b"policy")
    for number in range(limits.MOST_POLICY_SIGNATURES + 5):
        (folder / f"policy.toml.{number:03}.sshsig").write_bytes(b"sig")
    medium = FolderMedia(folder, folder / "policy.toml")
    assert len(medium.read_policy().signatures) == limits.MOST_POLICY_SIGNATURES
    huge = folder / "policy.toml.000.sshsig"
    huge.write_bytes(bytes(limits.MOST_POLICY_SIGNATURE + 1))
    with pytest.raises(MediaTrouble, match=r"MED-GONE: .*policy\.toml\.000\.sshsig: ") as trouble:
        medium.read_policy()  # the policy was named, which is whole
    trouble.value.text.encode("utf-8")


@pytest.mark.parametrize("script", ["exec sleep 60", "#!/nothing/here"])
def test_an_sbverify_that_does_not_say_its_version(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "sbverify"
    tool.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(world, "VERSION_SECONDS", 0.2)
    assert world._version(str(tool)) == "sbverify"


READING = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from ceremony.ingest.media import FolderMedia
from ceremony.ingest.walking import Told, walk
stick = Path(sys.argv[2])
media, _ = FolderMedia(stick, stick).read(("anchor.efi",), 1 << 20, lambda _: None)
print(len(media.manifest))
for problem in media.problems:
    print(problem.rule, problem.severity, problem.text)
"""


def read_without_privilege(stick: Path) -> list[str]:
    """Read a medium as somebody whom file modes bind; root gives up what puts it above them."""
    words = [sys.executable, "-I", "-c", READING, str(Path(media.__file__).parents[2]), str(stick)]
    if os.geteuid() == 0:
        bound = "-dac_override,-dac_read_search"
        setpriv = [needed("setpriv", package="util-linux"), f"--bounding-set={bound}"]
        words = [*setpriv, f"--inh-caps={bound}", "--", *words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode and "setpriv" in done.stderr:
        pytest.skip(f"setpriv may not drop capabilities here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@refuses("MED-PATH")
def test_what_may_not_be_read_is_a_line_and_the_rest_is_read(stick: Path) -> None:
    (stick / "secret").mkdir()
    for path in (stick / "locked.sig", stick / "locked.nar.xz", stick / "secret"):
        if path.suffix:
            path.write_bytes(b"x")
        path.chmod(0)
    said = read_without_privilege(stick)
    (stick / "secret").chmod(0o700)
    assert said == [
        "3",
        "MED-PATH warn locked.nar.xz may not be read",
        "MED-PATH warn locked.sig may not be read",
        "MED-PATH warn secret/ may not be read; nothing in it was",
    ]


@refuses("MED-PATH", "MED-IMAGE")
def test_an_image_that_may_not_be_read_stops(stick: Path) -> None:
    (stick / "anchor.efi").chmod(0)
    assert read_without_privilege(stick) == ["2", "MED-PATH refuse anchor.efi may not be read"]


@refuses("MED-SPARSE", "MED-SIZE")
def test_an_archive_of_nothing_is_a_warning_and_no_more(stick: Path) -> None:
    with (stick / "a.nar").open("wb") as file:
        file.truncate(1 << 20)
    with (stick / "b.nar").open("wb") as file:
        file.truncate(1 << 40)
    found = read(stick)
    assert {(p.rule, p.severity) for p in found.problems} == {
        ("MED-SPARSE", Severity.WARN),
        ("MED-SIZE", Severity.WARN),
    }
    assert len(found.manifest) == 3


def test_no_link_that_took_a_folders_place_leads_out_of_the_medium(tmp_path: Path) -> None:
    """What lay below a folder was opened by its whole path: a link half-way was followed."""
    stick = tmp_path / "stick"
    for name in ("stick/a/b/good", "elsewhere/b/secret"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x", "utf-8")
    (stick / "a/first").write_text("x", "utf-8")

    def swap(_files: int, path: str) -> str:
        if path == "a/first":
            (stick / "a").rename(tmp_path / "was")
            (stick / "a").symlink_to(tmp_path / "elsewhere")
        return ""

    seen = [path for path, _, _ in walk(stick, Told(), swap)]
    assert seen == ["a/first", "a/b/good"]


def test_a_walk_leaves_no_folder_open_however_it_ends(tmp_path: Path) -> None:
    for number in range(limits.MOST_DEPTH + 2):
        folder = tmp_path.joinpath(*["d"] * number)
        folder.mkdir(exist_ok=True)
        (folder / "file").write_text("x", "utf-8")
    before = len(list(Path("/proc/self/fd").iterdir()))
    whole = list(walk(tmp_path, Told(), lambda _files, _path: ""))
    assert len(whole) == limits.MOST_DEPTH + 1
    assert len(list(walk(tmp_path, Told(), lambda files, _path: "no" if files > 9 else ""))) == 9
    begun = walk(tmp_path, Told(), lambda _files, _path: "")
    assert next(begun)[0] == "file"
    begun.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
