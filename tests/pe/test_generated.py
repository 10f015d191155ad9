"""Generated images: every valid one is signed, every mutant is refused or rightly signed.

What is signed is judged by our verifier and our model of EDK2 each time, and for a sample
by sbsign (the same bytes), sbverify and osslsigncode. An ordinary run looks at more than
10,000 mutants; UKI_CEREMONY_FUZZ_MINUTES=90 goes on for 90 minutes a machine.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pe.edk2 import Boots, Database, firmware_verdict
from pe.images import MACHINES, MOMENT, Image, Signer, pem
from pe.mutating import Mutation, mutants, mutate
from pe.shapes import Shape, shapes

from ceremony.errors import Refused
from ceremony.pe.headers import HEAD_BYTES
from ceremony.pe.inspect import OPEN_GATES, UKI_ONLY, inspect
from ceremony.pe.sign import assemble, plan
from ceremony.pe.sweep import Sweep, sweep
from ceremony.pe.verify import verify
from ceremony.types import refusals

FUZZ_SECONDS = 60 * float(os.environ.get("UKI_CEREMONY_FUZZ_MINUTES", "0"))
SHAPES, MUTANTS = 110, 26
LEAST = 2500  # mutants of one machine in one round; the others were no change
SAMPLE = 20
TOOLS = ("sbsign", "sbverify", "faketime", "osslsigncode")
FROZEN = MOMENT.strftime("%Y-%m-%d %H:%M:%S")
NOTHING = Database()
ROUND = settings(
    deadline=None, max_examples=SHAPES, database=None, suppress_health_check=list(HealthCheck)
)


@dataclass
class Tally:
    """What became of the mutants, and some of those that were signed."""

    by: Signer
    other: Signer
    refused: int = 0
    signed: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    sample: dict[bytes, bytes] = field(default_factory=dict)

    def sign(self, image: bytes, signer: Signer) -> bytes:
        planned = plan(image, signer.certificate, (), MOMENT)
        made = assemble(image, planned, signer.sign(planned.attributes))
        return b"".join(made.pieces())

    def valid(self, shape: Shape) -> bytes:
        """Write a valid image with the signatures it has already; it must be accepted."""
        image = shape.write()
        for name in shape.signers:
            image = self.sign(image, {"alice": self.by, "bob": self.other}[name])
        self.good(image, self.sign(image, self.by))
        return Image(image)

    def mutant(self, image: bytes) -> None:
        """Judge a mutant: refused by name, or signed to what everyone accepts."""
        found = {f.rule for f in refusals(inspect(image, OPEN_GATES).findings)}
        structural = {rule for rule in found if not rule.startswith("UKI-")}
        try:
            signed = self.sign(image, self.by)
        except Refused as refused:
            rules = {f.rule for f in refused.findings}
        else:
            # What only a UKI must keep is inspection's to refuse, where the planner warns.
            assert structural <= UKI_ONLY, "the planner signs what inspection refuses"
            self.good(image, signed)
            self.signed += 1
            if len(self.sample) < SAMPLE and self.signed % 7 == 0:
                self.sample[Image(image)] = Image(signed)
            return
        assert rules, "a refusal that names no rule"
        assert structural, "the planner refuses what inspection accepts"
        self.refused += 1
        self.rules.update(rules)

    def good(self, image: bytes, signed: bytes) -> None:
        ours, theirs = (Database((s.certificate,)) for s in (self.by, self.other))
        assert verify(signed, self.by.certificate) == ()
        assert firmware_verdict(signed, ours, NOTHING) == Boots("signer in db")
        assert not isinstance(firmware_verdict(signed, ours, ours), Boots)
        # A signature that counted before counts still.
        if isinstance(firmware_verdict(image, theirs, NOTHING), Boots):
            assert isinstance(firmware_verdict(signed, theirs, NOTHING), Boots)
        else:
            assert not isinstance(firmware_verdict(signed, theirs, NOTHING), Boots)


def rounds() -> Iterator[int]:
    """Yield 0, and on a long run more numbers until its time is over."""
    stop = time.monotonic() + FUZZ_SECONDS
    number = 0
    yield number
    while time.monotonic() < stop:
        number += 1
        yield number


def explore(tally: Tally, machine: str) -> None:
    @ROUND
    @given(shape=shapes, changes=st.lists(mutants, min_size=MUTANTS, max_size=MUTANTS))
    def one_round(shape: Shape, changes: list[tuple[Mutation, ...]]) -> None:
        shape = replace(shape, machine=machine)
        bases = (shape.write(), tally.valid(shape))
        for base, change in zip(itertools.cycle(bases), changes, strict=False):
            mutant = mutate(base, change)
            if mutant != base:
                tally.mutant(mutant)

    one_round()


@pytest.mark.parametrize("machine", MACHINES)
def test_every_mutant_is_refused_or_signs_to_what_everyone_accepts(
    machine: str,
    alice: Signer,
    bob: Signer,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    tally = Tally(alice, bob)
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    for number in rounds():
        explore(tally, machine)
        # Both kinds, and the refusals of many rules: a round that saw neither proves nothing.
        assert tally.refused + tally.signed > (number + 1) * LEAST
        assert min(tally.refused, tally.signed) > (number + 1) * LEAST // 12
        assert len(tally.rules) > 25, sorted(tally.rules)
        assert len(tally.sample) > SAMPLE // 2
        while tally.sample:
            image, signed = tally.sample.popitem()
            if not missing:
                judged_by_tools(image, signed, (alice, bob), tmp_path)
    record_property("mutants refused", tally.refused)
    record_property("mutants signed", tally.signed)
    if missing:
        pytest.skip(f"not judged by {', '.join(missing)}, which are not installed")


def judged_by_tools(image: bytes, signed: bytes, signers: tuple[Signer, ...], folder: Path) -> None:
    """Have sbsign make the same bytes of what the first signer signed, and two tools look."""
    key, certificate = signers[0].write(folder, "by")
    (folder / "in.efi").write_bytes(image)
    (folder / "ours.efi").write_bytes(signed)
    done = run(
        *("faketime", "-f", FROZEN, "sbsign", "--key", key, "--cert", certificate),
        *("--output", folder / "theirs.efi", folder / "in.efi"),
    )
    assert done.returncode == 0, done.stderr
    assert Image((folder / "theirs.efi").read_bytes()) == signed
    done = run("sbverify", "--cert", certificate, folder / "ours.efi")
    assert done.returncode == 0, done.stderr
    both = folder / "both.pem"
    both.write_text("".join(pem(s.certificate) for s in signers))
    done = run("osslsigncode", "verify", "-CAfile", both, "-in", folder / "ours.efi")
    words = done.stdout.decode("utf-8", "replace")
    digests = [
        line.partition(":")[2].strip()
        for line in words.splitlines()
        if line.startswith(("Current message digest", "Calculated message digest"))
    ]
    # A table of several entries is none to osslsigncode, and release 2.5 calls sbsign's own
    # files invalid: the digest that it calculates itself is what counts.
    several = len(sweep(signed).entries) > 1
    if digests:
        assert several or len(digests) == 2, words
    else:  # release 2.5 stops before it, but compares the CheckSum
        assert "checksum" in words
        assert "MISMATCH" not in words
    assert len(set(digests)) <= 1, words


def run(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "TZ": "UTC"}
    return subprocess.run(words, capture_output=True, check=False, env=environment, timeout=60)


@given(shape=shapes, cuts=st.lists(st.integers(0, 20000), max_size=8))
@settings(deadline=None, max_examples=150)
def test_an_image_swept_in_any_chunks_is_the_image_swept_at_once(
    shape: Shape, cuts: list[int]
) -> None:
    image = shape.write()
    reader = Sweep(image[:HEAD_BYTES], len(image))
    edges = [0, *sorted(min(c, len(image)) for c in cuts), len(image)]
    for start, stop in itertools.pairwise(edges):
        for sink in reader.sinks:
            sink.update(image[start:stop])
    assert reader.close() == sweep(image)
