"""attest --twice in real bubblewrap: two rooms that differ, and builds that agree or do not."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import rehearsing
from commands.builder_desk import Desk, Done, command, laid_out, process, repository, tool
from marks import accepts, refuses

from ceremony.attest.sums import read_sums
from tui.building import sandbox
from tui.building.difference import describe, first_difference, place
from tui.building.sandbox import Bubblewrap

EPOCH = 1700000000
SLEEPS = str(4_000_000 + os.getpid())  # seconds that no other run on this machine sleeps


@pytest.fixture
def desk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return laid_out(tmp_path, capfd)


def twice(desk: Desk, script: str, *words: str | Path, artifact: str = "out.bin") -> Done:
    """Build by a shell script in two rooms and attest with an SSH key."""
    who = ("--builder", "ann", "--key", desk.ssh(), "--output", desk.out)
    what = ("--artifact", artifact, *words, "--", "sh", "-c", script)
    return desk.run("attest", "--twice", *who, *what)


@accepts("ATT-SANDBOX", "ATT-BUILD", "ATT-TWICE-BUILD")
def test_equal_builds_are_attested(desk: Desk, bubblewrap: Bubblewrap) -> None:
    source = desk.folder / "src"
    commit = repository(source)
    done = twice(
        desk,
        'mkdir out; (cat src/kernel.config; echo "$SOURCE_DATE_EPOCH") >out/anchor.efi',
        *("--input", source, "--source", source),
        artifact="out/anchor.efi",
    )
    assert done.status == 0, done.err
    built = (desk.out / "anchor.efi").read_bytes()
    assert built == b"CONFIG_EFI=y\n1700000000\n"
    claims = read_sums(desk.sums().encode())
    digests = {artifact.name: artifact.digest("sha256") for artifact in claims.artifacts}
    assert digests["anchor.efi"] == hashlib.sha256(built).hexdigest()
    pins = dict(claims.pins)
    assert (pins["git_commit"], pins["source_date_epoch"]) == (commit, str(EPOCH))
    assert (pins["built_twice"], pins["sandbox"]) == ("equal", bubblewrap.evidence)
    assert len(pins["sandbox_options"]) == 64
    assert claims.self_claims == (("isolation", "bwrap"),)
    assert desk.run("attest", "--verify", desk.out).status == 0


# What shows of a room in what is built, and what does not


@refuses("ATT-TWICE-BUILD")
@pytest.mark.parametrize(
    "script",
    [
        "hostname >out.bin 2>/dev/null || cat /proc/sys/kernel/hostname >out.bin",
        "date >out.bin",
        "date -r src/kernel.config >out.bin",
        "echo $HOME >out.bin",
        "umask >out.bin",
        "echo $LC_ALL >out.bin",
        "cat /etc/passwd >out.bin",
        "cat /proc/sys/kernel/random/uuid >out.bin",
        "head -c 2000000 /dev/zero >out.bin; date +%s%N >>out.bin",
    ],
)
def test_what_differs_between_the_rooms_is_found(
    desk: Desk, bubblewrap: Bubblewrap, script: str
) -> None:
    repository(desk.folder / "src")
    done = twice(desk, script, "--input", desk.folder / "src")
    assert (done.status, "ATT-TWICE-BUILD" in done.err) == (1, True), done.err
    assert "(offset 0x" in done.err
    assert not any(desk.out.iterdir())


@refuses("ATT-TWICE-BUILD")
def test_another_user_is_found(desk: Desk, bubblewrap: Bubblewrap) -> None:
    if not bubblewrap.other_users:
        pytest.skip("user namespaces are not allowed here")
    done = twice(desk, "id -u >out.bin")
    assert (done.status, "ATT-TWICE-BUILD" in done.err) == (1, True), done.err


def test_what_both_rooms_share(desk: Desk, bubblewrap: Bubblewrap) -> None:
    script = (
        "pwd >out.bin; env | grep -v -e HOME -e TZ -e LC_ALL | sort >>out.bin; ls /build >>out.bin"
    )
    done = twice(desk, script, "--source-date-epoch", "7")
    assert done.status == 0, done.err
    said = (desk.out / "out.bin").read_text("utf-8")
    assert said == f"/build\nPATH={sandbox.PATH}\nPWD=/build\nSOURCE_DATE_EPOCH=7\nout.bin\n"


@refuses("ATT-TWICE-BUILD")
def test_objcopy_builds_its_time_in(desk: Desk, bubblewrap: Bubblewrap) -> None:
    """The natural trap: COFF TimeDateStamp, and with it CheckSum; `-p` keeps the input's."""
    uki, note = desk.folder / "stub.efi", desk.folder / "note"
    uki.write_bytes(rehearsing.tiny_uki())
    note.write_text("a section\n", "utf-8")
    words = [tool("objcopy"), "--add-section", f".note={note}", uki, desk.folder / "tried.efi"]
    tried = subprocess.run(words, capture_output=True, check=False, text=True)
    if "not recognized" in tried.stderr:
        pytest.skip("this objcopy knows no PE images")
    assert tried.returncode == 0, tried.stderr
    inputs = ("--input", uki, "--input", note)
    copy = "objcopy {} --add-section .note=note stub.efi anchor.efi"
    done = twice(desk, copy.format(""), *inputs, artifact="anchor.efi")
    assert (done.status, "ATT-TWICE-BUILD" in done.err) == (1, True), done.err
    assert "in the headers: COFF TimeDateStamp" in done.err
    assert not any(desk.out.iterdir())
    done = twice(desk, copy.format("-p"), *inputs, artifact="anchor.efi")
    assert done.status == 0, done.err


def test_a_difference_in_a_pe_section_is_named() -> None:
    one, other = rehearsing.tiny_uki(b"1"), rehearsing.tiny_uki(b"2")
    at, text = describe(one, other)
    assert one[at] != other[at]
    assert one[:at] == other[:at]
    assert "in section .osrel at its byte 0x1e" in text, text
    assert place(one, 2) == "the headers"
    assert place(one + b"tail", len(one) + 1) == "the bytes behind the sections"
    assert place(b"no image", 2) == ""


@pytest.mark.parametrize("at", [0, 1, (1 << 20) - 1, 1 << 20, 3 << 20])
def test_the_first_difference_is_found_wherever_it_is(at: int) -> None:
    one = bytes((3 << 20) + 5)
    other = bytearray(one)
    other[at] ^= 1
    assert first_difference(one, bytes(other)) == at
    assert first_difference(one, one[:at]) == at
    assert first_difference(one, one) is None
    assert f"1 bytes differ, the first at offset {at:#x}" in describe(one, bytes(other))[1]
    assert "the sizes are" in describe(one, one[:at])[1]


@refuses("ATT-SANDBOX")
def test_without_bubblewrap_nothing_is_built(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    key = desk.ssh()
    monkeypatch.setenv("PATH", str(desk.folder / "empty"))
    words = ("--builder", "ann", "--key", key, "--artifact", "x", "--output", desk.out)
    done = desk.run("attest", "--twice", *words, "--", "touch", desk.folder / "ran")
    assert (done.status, "ATT-SANDBOX: bubblewrap is not installed" in done.err) == (3, True)
    assert not (desk.folder / "ran").exists()


# Builds that fail, and what is in the way


@refuses("ATT-BUILD")
@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 7", "ended with status 7"),
        ("kill -9 $$", "ended with status 137"),
        ("no-such-program", "ended with status 127"),
        ("true", "left no file /build/out.bin"),
        ("mkdir out.bin", "left no file /build/out.bin"),
        ("mkfifo out.bin", "left no file /build/out.bin"),
        ("ln -s /nowhere out.bin", "left no file /build/out.bin"),
    ],
)
def test_a_build_that_fails(desk: Desk, bubblewrap: Bubblewrap, script: str, says: str) -> None:
    done = twice(desk, script)
    assert (done.status, "ATT-BUILD" in done.err, says in done.err) == (3, True, True), done.err
    assert not any(desk.out.iterdir())


@refuses("ATT-BUILD")
def test_a_build_that_takes_too_long_is_ended(desk: Desk, bubblewrap: Bubblewrap) -> None:
    done = twice(desk, f"sleep {SLEEPS}", "--hours", "0.0005")
    assert (done.status, "did not end within 2 s" in done.err) == (3, True), done.err
    wait_until(lambda: not running(SLEEPS))


def running(word: str) -> bool:
    """Say whether a process has this word on its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[:2] == [b"sleep", word.encode()]:
                return True
        except OSError:
            continue
    return False


def test_killed_it_leaves_no_process_and_no_file(desk: Desk, bubblewrap: Bubblewrap) -> None:
    temporary = desk.folder / "tmp"
    temporary.mkdir()
    words = ("--builder", "ann", "--key", desk.ssh(), "--output", desk.out, "--artifact", "x")
    process = subprocess.Popen(
        command("attest", "--twice", *words, "--", "sh", "-c", f"echo begun; exec sleep {SLEEPS}"),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line == b"begun\n":
            break
    wait_until(lambda: running(SLEEPS))
    process.kill()
    process.wait()
    process.stderr.close()
    wait_until(lambda: not running(SLEEPS))
    assert not any(desk.out.iterdir())
    assert list(temporary.iterdir()) == []


def wait_until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.05)


@refuses("ATT-BUILD")
@pytest.mark.parametrize("artifact", ["../x", "/etc/passwd", "a/../../x", ".", "/build"])
def test_an_artifact_that_is_not_below_the_work_folder(desk: Desk, artifact: str) -> None:
    done = twice(desk, "true", artifact=artifact)
    assert (done.status, "ATT-BUILD" in done.err) == (1, True)


def test_what_is_in_the_way_is_refused_before_building(desk: Desk) -> None:
    for name in ("out.bin", "ann.SHA256SUMS.sig"):
        (desk.out / name).write_text("before\n", "utf-8")
        done = twice(desk, "true")
        assert (done.status, "MED-OUTPUT" in done.err, "build 1" in done.err) == (1, True, False)
        (desk.out / name).unlink()


@refuses("ATT-SUMS")
def test_a_name_that_cannot_be_attested_is_refused_before_building(desk: Desk) -> None:
    done = twice(desk, "true", artifact="two\nlines")
    assert (done.status, "ATT-SUMS" in done.err, "build 1" in done.err) == (1, True, False)


@refuses("KEY-PRIVATE", "MED-WRITE")
def test_what_could_not_be_signed_or_written_is_refused_before_building(desk: Desk) -> None:
    """Both were found out after the second build."""
    (desk.folder / "none").write_text("no key\n", "utf-8")
    for key, limit, rule in (("none", 0, "KEY-PRIVATE"), (desk.ssh().name, 100, "MED-WRITE")):
        who = ("--builder", "ann", "--key", desk.folder / key, "--output", desk.out)
        words = ("attest", "--twice", *who, "--artifact", "x", "--", "true")
        done = process(*words, limit=limit)
        assert (rule in done.err, "build 1" in done.err) == (True, False), done.err


def test_inputs_that_are_missing_or_of_one_name(desk: Desk) -> None:
    for folder in ("a", "b"):
        (desk.folder / folder / "src").mkdir(parents=True)
    done = twice(desk, "true", "--input", desk.folder / "nothing")
    assert (done.status, "MED-PATH" in done.err) == (3, True)
    both = ("--input", desk.folder / "a/src", "--input", desk.folder / "b/src")
    done = twice(desk, "true", *both)
    assert (done.status, "ATT-BUILD" in done.err) == (1, True)


@refuses("ATT-SANDBOX")
def test_a_key_that_the_build_would_see(desk: Desk) -> None:
    """The build could sign by it, or put it into what is published."""
    source = desk.folder / "src"
    repository(source)
    inside = desk.ssh(name="src/key")
    for key in (inside, Path(f"{inside}.pub")):
        who = ("--builder", "ann", "--key", key, "--output", desk.out, "--artifact", "x")
        done = desk.run("attest", "--twice", *who, "--input", source, "--", "true")
        assert (done.status, "would see the private key" in done.err) == (1, True), done.err
    inside.unlink()
    who = ("--builder", "ann", "--key", f"{inside}.pub", "--output", desk.out, "--artifact", "x")
    done = desk.run("attest", "--twice", *who, "--input", source, "--", "false")
    assert "would see" not in done.err


def test_ended_in_the_sentinel_test_it_leaves_nothing(desk: Desk, bubblewrap: Bubblewrap) -> None:
    """Before, SIGTERM left the sentinel in TMPDIR."""
    temporary, fake = desk.folder / "tmp", desk.folder / "bin"
    temporary.mkdir()
    fake.mkdir()
    slow = (
        f'#!/bin/sh\ncase $* in *sentinel*) sleep {SLEEPS};; esac\nexec {bubblewrap.program} "$@"\n'
    )
    (fake / "bwrap").write_text(slow, "utf-8")
    (fake / "bwrap").chmod(0o755)
    words = ("--builder", "ann", "--key", desk.ssh(), "--output", desk.out, "--artifact", "x")
    process = subprocess.Popen(
        command("attest", "--twice", *words, "--", "true"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary), "PATH": f"{fake}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    wait_until(lambda: any(temporary.glob("uki-ceremony-sentinel-*")))
    process.terminate()
    said, _ = process.communicate(timeout=60)
    with suppress(ProcessLookupError):  # the stand-in's own sleep, if it came that far
        os.killpg(process.pid, 9)
    assert (process.returncode, said) == (4, b"\nstopped\n")
    assert list(temporary.iterdir()) == []
    assert not any(desk.out.iterdir())


@refuses("ATT-DIRTY")
def test_a_source_that_changes_while_it_is_built(desk: Desk, bubblewrap: Bubblewrap) -> None:
    source = desk.folder / "src"
    repository(source)
    fake = desk.folder / "bin"
    fake.mkdir()
    dirt = f"case $* in *cat*) echo x >{source}/new;; esac"
    change = f'#!/bin/sh\n{dirt}\nexec {bubblewrap.program} "$@"\n'
    (fake / "bwrap").write_text(change, "utf-8")
    (fake / "bwrap").chmod(0o755)
    path = f"{fake}:{os.environ['PATH']}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path)
        assert shutil.which("bwrap") == str(fake / "bwrap")
        done = twice(desk, "cat src/kernel.config >out.bin", "--input", source, "--source", source)
    assert (done.status, "ATT-DIRTY" in done.err, any(desk.out.iterdir())) == (1, True, False), (
        done.err
    )
