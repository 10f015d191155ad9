"""The distribution's kernel under firmware with Secure Boot on: signed by us, it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from boot.databases import Databases
from boot.firmware import Said, require, start
from boot.making import Making, flipped
from boot.people import People
from boot.siglist import signature_list

from tui.rehearsal.image import assemble
from tui.rehearsal.initrd import MARKER
from tui.rehearsal.parts import default_cache, find_parts, running_architecture

EPOCH = 1_793_491_200
MEMORY = 512  # MiB: the firmware holds the file while it loads the image from it


@pytest.mark.kernel
def test_the_kernel_runs_signed_by_us_and_not_otherwise(people: People, tmp_path: Path) -> None:
    architecture = running_architecture()
    require(architecture)
    parts = find_parts(default_cache(), architecture)
    if parts.busybox is None:
        pytest.skip(f"no init of the distribution's parts: {parts.description}")
    uki = assemble(parts, EPOCH)
    making = Making(architecture, MARKER, people, tmp_path)
    signed = making.signed(uki, "ours")
    images = [
        uki,
        making.signed(uki, "foreign"),
        flipped(signed, lambda image: image.index(parts.kernel) + len(parts.kernel) // 2),
        signed,
    ]
    ours = signature_list([people["ours"].certificate])
    log = tmp_path / f"{architecture}-kernel.log"
    console = start(architecture, images, Databases(ours, ours, b""), log, MEMORY)
    said = [console.said(number, MARKER) for number in range(len(images))]
    assert said == [*[Said.REFUSED] * 3, Said.BOOTS], console.beside(said)
