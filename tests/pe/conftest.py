from __future__ import annotations

from pathlib import Path

import pytest
from pe.entry_changes import entry_changed, malformed_behind, two_signers
from pe.images import MOMENT, Image, Part, Signer, pe_image, signer, uki, uki_parts
from pe.shapes import Shape
from pe.signing_tools import Tools

from ceremony.pe.sign import assemble, plan


@pytest.fixture(scope="session")
def alice() -> Signer:
    return signer("alice")


@pytest.fixture(scope="session")
def bob() -> Signer:
    return signer("bob")


@pytest.fixture(scope="session")
def signed(alice: Signer) -> bytes:
    image = uki()
    planned = plan(image, alice.certificate, (), MOMENT)
    made = assemble(image, planned, alice.sign(planned.attributes))
    whole: bytes = Image(b"".join(made.pieces()))
    return whole


@pytest.fixture(scope="session")
def bases(signed: bytes) -> dict[str, bytes]:
    """Return the images that vectors start from, by name."""
    parts = uki_parts()
    long = tuple(Part(p.name, b"a" * 4097) if p.name == ".cmdline" else p for p in parts)
    return {
        "uki": uki(),
        "signed": signed,
        "aarch64": uki("aarch64"),
        "longline": pe_image(long),
        "shifted": pe_image(uki_parts(), lfanew=0x84),
        "even": pe_image(uki_parts(), lfanew=0x82),
        "odd": pe_image(uki_parts(), lfanew=0x85),
        "five": pe_image(uki_parts(), directories=5),
        "badchain": entry_changed(signed, malformed_behind),
        "twosigners": entry_changed(signed, two_signers),
        "tight": Shape(section_alignment=32, code=8, lfanew=0x50).write(),
    }


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)
