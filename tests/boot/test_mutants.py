"""The mutants of tests/vectors/pe under real firmware: what we sign of them boots.

What we refuse goes to the firmware as it is, with its digest in db, and is held against our
model of the firmware. x86-64 only: the code that judges is the same in AAVMF.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boot.databases import Databases
from boot.firmware import Said, require, start
from boot.making import Making
from boot.people import People
from boot.program import line_printer
from boot.siglist import Listed
from pe.edk2 import Boots, Database, firmware_verdict
from pe.images import ACCEPTED, Part, Vector, all_vectors, pe_image, uki_parts

from ceremony.errors import Refused
from ceremony.types import Digest, DigestKind
from tui.rehearsal.efi_program import efi_program

ARCHITECTURE = "x86_64"
JUDGED = ("PE-", "SIG-", ACCEPTED)  # firmware does not look into a UKI's sections
# The firmware starts them, and that is its end: there is no code where they say there is.
CRASHING = (
    *("entry-in-data", "entry-outside", "section-virtual-size-huge", "sections-0"),
    *("entry-under-another-section", "entry-under-another-code-section"),
    *("section-of-zeros-over-the-entry-point", "section-of-zeros-over-the-headers"),
)
NOT_STARTED = ("subsystem-driver",)  # a boot manager starts applications only
# Bases of another machine, without room for a program, and of signatures made in code.
LEFT_OUT = ("aarch64", "tight", "twosigners", "badchain")


class Asked(frozenset[bytes]):
    """A db without digests, which notes those that the model looks for."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_for: set[bytes] = set()

    def __contains__(self, digest: object) -> bool:
        if isinstance(digest, bytes):
            self.looked_for.add(digest)
        return False


@dataclass(frozen=True)
class Mutant:
    """One vector applied to an image that prints `line`; `ours` where we sign that."""

    vector: Vector
    line: str
    image: bytes
    ours: bool

    def digest(self) -> bytes | None:
        """Return the digest of an unsigned image by the model, where it comes to that."""
        asked = Asked()
        firmware_verdict(self.image, Database(digests=asked), Database())
        return next(iter(asked.looked_for), None) if self.vector.base != "signed" else None


def bases(making: Making) -> dict[str, bytes]:
    """Return images like those that the vectors were written for, which print a line."""
    _, *others = uki_parts(ARCHITECTURE)
    parts = (line_printer(ARCHITECTURE, making.line), *others)
    long = tuple(Part(p.name, b"a" * 4097) if p.name == ".cmdline" else p for p in parts)
    return {
        "uki": making.uki,
        "signed": making.signed(making.uki, "ours"),
        "longline": pe_image(long, ARCHITECTURE),
        "shifted": pe_image(parts, ARCHITECTURE, lfanew=0x84),
        "even": pe_image(parts, ARCHITECTURE, lfanew=0x82),
        "odd": pe_image(parts, ARCHITECTURE, lfanew=0x85),
        "five": pe_image(parts, ARCHITECTURE, directories=5),
    }


def mutant(vector: Vector, making: Making) -> Mutant:
    image = vector.apply(bases(making)[vector.base])
    try:
        return Mutant(vector, making.line, making.signed(image, "ours"), ours=True)
    except Refused:
        return Mutant(vector, making.line, image, ours=False)


def test_what_crashes_the_firmware_is_refused(people: People, tmp_path: Path) -> None:
    making = Making(ARCHITECTURE, "mutant", people, tmp_path)
    crashing = [v for v in all_vectors() if v.name in CRASHING]
    assert [mutant(v, making).ours for v in crashing] == [False] * len(CRASHING)


def test_what_we_sign_boots_and_the_model_knows_the_rest(people: People, tmp_path: Path) -> None:
    require(ARCHITECTURE)
    vectors = [
        v
        for v in all_vectors()
        if v.rule.startswith(JUDGED)
        and v.base not in LEFT_OUT
        and v.name not in (*CRASHING, *NOT_STARTED)
    ]
    makings = [Making(ARCHITECTURE, f"mutant {n}.", people, tmp_path) for n in range(len(vectors))]
    mutants = list(map(mutant, vectors, makings))
    refused = [m for m in mutants if not m.ours]
    assert 0 < len(refused) < len(mutants)

    digests = tuple(d for d in (m.digest() for m in refused) if d is not None)
    ours = people["ours"].certificate
    db = Listed((ours,), tuple(Digest(DigestKind.AUTHENTICODE_SHA256, d) for d in digests))
    platform = Listed((ours,)).encode()
    off = makings[0].signed(efi_program(ARCHITECTURE), "ours")
    images = [*(m.image for m in mutants), off]
    log = tmp_path / f"{ARCHITECTURE}-mutants.log"
    console = start(ARCHITECTURE, images, Databases(platform, db.encode(), b""), log)

    modelled = Database((ours,), frozenset(digests))
    wrong = []
    for number, each in enumerate(mutants):
        verdict = firmware_verdict(each.image, modelled, Database())
        boots = each.ours or isinstance(verdict, Boots)
        said = console.said(number, each.line)
        wanted = (Said.BOOTS,) if boots else (Said.REFUSED, Said.UNUSABLE)
        if said not in wanted:
            why = "signed by us" if each.ours else f"the model says {verdict}"
            wrong.append(f"{each.vector.name}: {said}, but {why}")
    assert wrong == [], console.beside(wrong)
