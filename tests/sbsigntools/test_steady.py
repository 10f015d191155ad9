"""A file that does not hold still while it is read is refused, whatever it does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from marks import accepts, refuses

from ceremony.errors import Refused
from ceremony.ingest.feeding import feed
from ceremony.ingest.steady import CHUNK, open_steady

CONTENT = os.urandom(3 * CHUNK + 17)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(CONTENT)
    return path


def shrink(path: Path) -> None:
    os.truncate(path, 2 * CHUNK)


def shrink_at_the_end(path: Path) -> None:
    os.truncate(path, len(CONTENT) - 1)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def write(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(0, 1))


def write_and_set_the_time_back(path: Path) -> None:
    before = path.stat()
    time.sleep(0.02)  # older kernels tell a change's time by a clock that ticks every 10 ms
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@accepts("MED-CHANGED", "MED-SIZE")
@pytest.mark.parametrize("head", [0, 1, 65536, len(CONTENT), len(CONTENT) + 1])
def test_every_byte_comes_once_and_in_order(head: int, file: Path) -> None:
    with open_steady(file, len(CONTENT), head) as steady_file:
        assert steady_file.head == CONTENT[:head]
        assert b"".join(steady_file.chunks()) == CONTENT


def test_an_empty_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with open_steady(tmp_path / "empty", 1, 64) as steady_file:
        assert b"".join(steady_file.chunks()) == b""


@refuses("MED-CHANGED")
@pytest.mark.parametrize(
    "change", [shrink, shrink_at_the_end, grow, write, write_and_set_the_time_back]
)
def test_a_file_that_changes_while_it_is_read(change: Callable[[Path], None], file: Path) -> None:
    with open_steady(file, 2 * len(CONTENT), 65536) as steady_file:
        chunks = steady_file.chunks()
        got = next(chunks) + next(chunks)
        change(file)
        with pytest.raises(Refused) as refused:
            got += b"".join(chunks)
    assert [f.rule for f in refused.value.findings] == ["MED-CHANGED"]
    assert len(got) < len(CONTENT)  # the last chunk is never handed on


@refuses("MED-SIZE")
def test_a_file_over_the_cap_is_not_read(file: Path) -> None:
    with pytest.raises(Refused) as refused:
        open_steady(file, len(CONTENT) - 1, 1)
    assert [f.rule for f in refused.value.findings] == ["MED-SIZE"]


def test_no_descriptor_stays_open(file: Path, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    (tmp_path / "sparse").write_bytes(b"")
    os.truncate(tmp_path / "sparse", 1 << 20)
    for path, most in ((file, 1), (tmp_path / "sparse", 1 << 30), (tmp_path, 1)):
        with pytest.raises(Refused):
            open_steady(path, most, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


class Collector:
    """A sink that keeps what it is fed, and fails where it is told to."""

    def __init__(self, fails_at: int = -1) -> None:
        self.got = b""
        self._left = fails_at

    def update(self, chunk: bytes | memoryview) -> None:
        if self._left == 0:
            raise OSError("the disk is full")
        self._left -= 1
        self.got += chunk


def test_every_sink_is_fed_everything() -> None:
    chunks = [CONTENT[at : at + 1000] for at in range(0, len(CONTENT), 1000)]
    sinks = [Collector() for _ in range(4)]
    feed(iter(chunks), sinks[:3], sinks[3:])
    assert all(sink.got == CONTENT for sink in sinks)


@pytest.mark.parametrize("fails", [0, 1, 30])
def test_a_sink_that_fails_ends_the_feeding(fails: int) -> None:
    good = Collector()
    with pytest.raises(OSError, match="the disk is full"):
        feed([b"x"] * 100, [good, Collector(fails)], [])
    with pytest.raises(OSError, match="the disk is full"):
        feed([b"x"] * 100, [good], [Collector(fails)])
