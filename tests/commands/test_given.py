"""Files that people name on a command line: pipes that nobody feeds, keys that are no keys."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from marks import refuses

from ceremony.errors import Refused
from tui import ssh_keys
from tui.given import lies_in, read_head
from tui.sbsigntools.certificates import read_small


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_that_nobody_feeds_is_left(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`token --machine PIPE` waited for ever."""
    monkeypatch.setattr("tui.given.PIPE_SECONDS", 0.0)
    with pytest.raises(OSError, match="nobody writes"):
        read_head(pipe, 10)


def test_a_pipe_is_read_to_its_end(pipe: Path) -> None:
    writer = threading.Thread(target=pipe.write_bytes, args=(b"x" * 100_000,))
    writer.start()
    assert read_small(pipe, 100_000) == b"x" * 100_000
    writer.join()


def test_an_open_pipe_that_says_nothing_yet_is_waited_for() -> None:
    reader, writer = os.pipe()
    late = threading.Timer(0.2, os.write, (writer, b"late"))
    late.start()
    late_end = threading.Timer(0.3, os.close, (writer,))
    late_end.start()
    assert read_head(Path(f"/proc/self/fd/{reader}"), 10) == b"late"
    late_end.join()
    os.close(reader)


def test_no_more_is_read_than_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "zeros").touch()
    os.truncate(tmp_path / "zeros", 2**40)
    assert read_head(tmp_path / "zeros", 10) == bytes(10)
    assert read_head(Path("/dev/zero"), 10) == bytes(10)
    assert read_head(Path("/dev/null"), 10) == b""


@refuses("KEY-PRIVATE")
def test_an_ssh_key_that_is_no_file_or_far_too_large_is_not_given_to_ssh_keygen(
    pipe: Path, tmp_path: Path
) -> None:
    """`approve --key PIPE` waited for ever, and ssh-keygen read 200 megabytes of zeros."""
    (tmp_path / "zeros").touch()
    os.truncate(tmp_path / "zeros", 200 * 2**20)
    for path in (pipe, tmp_path, tmp_path / "zeros", Path("/dev/null")):
        with pytest.raises(Refused) as refused:
            ssh_keys.sign(path, "n", b"")
        assert refused.value.findings[0].rule == "KEY-PRIVATE"


def test_a_key_whose_public_half_alone_is_there_is_left_to_ssh_keygen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent signs for `--key ID` where only ID.pub is a file."""
    for program in ("ssh-agent", "ssh-add", "ssh-keygen"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    ssh_keys.make_key(tmp_path / "id", "kim")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert agent.stdout is not None
        agent.stdout.readline()  # it listens
        subprocess.run(["ssh-add", tmp_path / "id"], capture_output=True, check=True)
        (tmp_path / "id").unlink()
        assert ssh_keys.sign(tmp_path / "id", "n", b"m").startswith(b"-----BEGIN SSH SIG")
    finally:
        agent.terminate()
        agent.communicate()


def test_links_in_a_ring_lie_nowhere(tmp_path: Path) -> None:
    """`report RING --text FILE` ended in a traceback."""
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert lies_in(tmp_path / "file", tmp_path)
    assert not lies_in(tmp_path / "file", tmp_path / "one")
    assert not lies_in(tmp_path / "one", tmp_path / "other")
