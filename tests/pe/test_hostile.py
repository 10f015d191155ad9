from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pe.images import MOMENT, Broken, Signer, all_vectors, uki

from ceremony.errors import Refused
from ceremony.pe.attach import attach
from ceremony.pe.inspect import Gates, inspect
from ceremony.pe.sign import assemble, plan
from ceremony.pe.verify import verify
from ceremony.types import ImageFacts, Severity, refusals

GATES = Gates("x86_64", (".linux",), Severity.REFUSE, Severity.REFUSE, 1 << 20)
EDGES = (
    0,
    1,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0x1FF,
    0x200,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFF8,
    0xFFFF_FFFF,
)
SHARED = settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def bounded(facts: ImageFacts) -> bool:
    """Say whether an answer stays small whatever the input, and fit for a terminal."""
    texts = [f.text for f in facts.findings] + [s.name for s in facts.sections]
    texts += [s.signer for s in facts.signatures] + [facts.meaning.command_line, facts.meaning.stub]
    texts += [part for pair in facts.meaning.os_release for part in pair] + [*facts.meaning.sbat]
    return len(facts.findings) < 2000 and all(
        len(text) <= 8192 and text.isascii() and (text.isprintable() or not text) for text in texts
    )


changes = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 0x400), st.integers(0, 12000)),
        st.sampled_from("BHI"),
        st.one_of(st.sampled_from(EDGES), st.integers(0, 0xFFFF_FFFF)),
    ),
    min_size=1,
    max_size=6,
)


def mutate(image: bytes, made: list[tuple[int, str, int]], cut: int) -> bytes:
    broken = bytearray(image)
    for at, kind, value in made:
        size = struct.calcsize(kind)
        where = at % (len(broken) - size)
        struct.pack_into("<" + kind, broken, where, value & ((1 << 8 * size) - 1))
    return bytes(broken[: len(broken) - cut] if cut >= 0 else broken + bytes(-cut))


@given(data=st.binary(max_size=3000))
@SHARED
def test_any_bytes_are_inspected(data: bytes) -> None:
    for image in (data, b"MZ" + data, uki()[:0x200] + data):
        assert bounded(inspect(image, GATES))


@given(made=changes, cut=st.sampled_from((0, 0, 0, 1, 8, 512, -1, -8, -4096)))
@SHARED
def test_a_mutated_signed_image_is_inspected_and_verified(
    signed: bytes, alice: Signer, made: list[tuple[int, str, int]], cut: int
) -> None:
    image = mutate(signed, made, cut)
    facts = inspect(image, GATES)
    assert bounded(facts)
    if image != signed:
        assert refusals(verify(image, alice.certificate))


@given(made=changes)
@SHARED
def test_a_mutated_pkcs7_never_verifies(
    signed: bytes, alice: Signer, made: list[tuple[int, str, int]]
) -> None:
    (table,) = struct.unpack_from("<I", signed, 0x128)
    (length,) = struct.unpack_from("<I", signed, table)
    cms = signed[table + 8 : table + length]
    broken = mutate(cms, made, 0)
    if broken == cms:
        return
    try:
        image = b"".join(attach(uki(), broken).pieces())
    except Refused:
        return
    # What the signature does not cover, the certificate say, is held against what was given.
    assert refusals(verify(image, alice.certificate))


@given(
    text=st.binary(max_size=400), name=st.sampled_from((".osrel", ".sbat", ".cmdline", ".uname"))
)
@SHARED
def test_any_text_in_a_section_is_read(text: bytes, name: str) -> None:
    broken = Broken(bytearray(uki()))
    broken.fill(broken.places[name], text)
    assert bounded(inspect(bytes(broken.image), GATES))


def accepted_mutants(alice: Signer) -> list[tuple[str, bytes]]:
    """Sign every mutant that the strict parser lets pass: vectors, and a sweep of headers."""
    mutants = [(v.name, v.apply(uki())) for v in all_vectors() if v.base == "uki"]
    for at in range(0x80, 0x2C8, 2):
        image = bytearray(uki())
        image[at] ^= 0x11
        mutants.append((f"flip-{at:#x}", bytes(image)))
    signed = []
    for name, image in mutants:
        try:
            planned = plan(image, alice.certificate, (), MOMENT)
        except Refused:
            continue
        made = assemble(image, planned, alice.sign(planned.attributes))
        signed.append((name, b"".join(made.pieces())))
    return signed


def test_a_mutant_that_is_signed_is_one_that_the_tools_verify(
    alice: Signer, tmp_path: Path
) -> None:
    sbverify = shutil.which("sbverify")
    if sbverify is None:
        pytest.skip("sbverify is not installed")
    _, certificate = alice.write(tmp_path, "alice")
    mutants = accepted_mutants(alice)
    assert len(mutants) > 20
    for name, image in mutants:
        assert verify(image, alice.certificate) == (), name
        path = tmp_path / name
        path.write_bytes(image)
        done = subprocess.run(
            [sbverify, "--cert", certificate, path], capture_output=True, check=False
        )
        assert done.returncode == 0, (name, done.stderr)
