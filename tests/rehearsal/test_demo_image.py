"""The demo image: real where the machine lets it, bootable always, reproducible."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceremony.pe.layout import read_layout
from ceremony.types import Severity
from tui.rehearsal.efi_program import efi_program
from tui.rehearsal.image import assemble, make_demo_image
from tui.rehearsal.initrd import MARKER, TRAILER, build_initrd
from tui.rehearsal.parts import Parts, default_cache, find_parts, running_architecture
from tui.rehearsal.uki import section_content, section_names

EPOCH = 1_793_491_200
MACHINE = running_architecture()


@pytest.fixture
def no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def members(archive: bytes) -> dict[str, tuple[int, int, bytes]]:
    """Read a newc archive: mode, time and content by name."""
    found: dict[str, tuple[int, int, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode("ascii")
        at += -(-(110 + fields[11]) // 4) * 4
        if name == TRAILER:
            assert archive[at:] == b""
            return found
        found[name] = (fields[1], fields[5], archive[at : at + fields[6]])
        at += -(-fields[6] // 4) * 4


def test_the_demo_image_is_the_same_bytes_twice_and_accepted() -> None:
    image = make_demo_image(default_cache(), EPOCH)
    assert image.data == make_demo_image(default_cache(), EPOCH).data
    assert image.data != make_demo_image(default_cache(), EPOCH + 86400).data
    reading = read_layout(memoryview(image.data), len(image.data))
    assert reading.layout is not None
    assert not [f for f in reading.findings if f.rule == "PE-OVERLAY"]
    assert [f.rule for f in reading.findings if f.severity is Severity.REFUSE] == []
    names = section_names(image.data)
    for name in (".osrel", ".cmdline", ".uname", ".sbat", ".initrd", ".linux"):
        assert names.count(name) == 1
    assert section_content(image.data, ".sbat").startswith(b"sbat,1,SBAT Version,")
    assert section_content(image.data, ".linux").startswith(b"MZ")
    assert image.description


def test_the_initrd_holds_console_busybox_and_an_init_with_the_marker() -> None:
    found = members(build_initrd(b"the program", EPOCH))
    assert list(found) == ["dev", "dev/console", "bin", "bin/busybox", "init"]
    assert found["bin/busybox"] == (0o100755, EPOCH, b"the program")
    assert found["dev/console"][0] == 0o020600
    assert MARKER.encode() in found["init"][2]
    assert "init" not in members(build_initrd(None, EPOCH))


@pytest.mark.usefixtures("no_tools")
def test_where_there_is_nothing_a_tiny_program_serves_and_it_is_said(tmp_path: Path) -> None:
    for machine in ("x86_64", "aarch64"):
        parts = find_parts(tmp_path / "cache", machine, root=tmp_path)
        assert "no kernel and EFI stub at hand" in parts.description
        assert parts.stub == parts.kernel == efi_program(machine)
        image = assemble(parts, EPOCH)
        assert image == assemble(parts, EPOCH)
        assert section_content(image, ".linux") == efi_program(machine)
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("no_tools")
def test_an_installed_kernel_and_stub_are_taken_the_newest_that_fits(tmp_path: Path) -> None:
    root = tmp_path / "root"
    fits, other = efi_program("x86_64"), efi_program("aarch64")
    stub = root / "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
    kernels = {"6.9.1-a": fits + b"old", "6.12.3-a": fits + b"new", "6.13.0-b": other}
    for path, data in {
        stub: fits,
        **{root / f"boot/vmlinuz-{release}": data for release, data in kernels.items()},
        root / "bin/busybox": b"#!/bin/sh\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    parts = find_parts(tmp_path / "cache", "x86_64", root=root)
    assert parts.release == "6.12.3-a"
    assert parts.kernel == fits + b"new"
    assert parts.busybox is None
    assert str(stub) in parts.description
    assert "no busybox" in parts.description


@pytest.mark.usefixtures("no_tools")
def test_downloaded_parts_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    first = find_parts(default_cache(), MACHINE)
    if "no kernel" in first.description or "/" in first.description:
        pytest.skip("this machine cannot download packages")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_parts(default_cache(), MACHINE, root=tmp_path) == first


def test_a_spoilt_cache_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "parts" / "x86_64"
    folder.mkdir(parents=True)
    (folder / "parts.json").write_text("[]", encoding="ascii")
    for name in ("kernel", "stub", "busybox"):
        (folder / name).write_bytes(b"")
    assert isinstance(find_parts(tmp_path, "x86_64", root=tmp_path), Parts)
