"""The table made real for one machine: every image, and the databases that judge them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from boot.cases import CASES, FAILS, OK, Case, Make
from boot.databases import Databases
from boot.firmware import Console, Said, start
from boot.making import Making, our_digest
from boot.people import People
from boot.siglist import Listed, signature_list
from pe.images import signer

from ceremony.types import Digest
from tui.rehearsal.efi_program import efi_program


@dataclass(frozen=True)
class Made:
    """One row with its image, and what that was made of."""

    case: Case
    making: Making
    image: bytes


@dataclass(frozen=True)
class Batch:
    """The rows that this machine has the tools for, in the table's order."""

    architecture: str
    people: People = field(repr=False)
    rows: tuple[Made, ...] = field(repr=False)

    def db(self) -> Listed:
        """Return what the firmware trusts."""
        certificates = self.people.certificates(self.people.db)
        return Listed(certificates, self._digests(lambda case: case.allowed))

    def dbx(self) -> Listed:
        """Return what the firmware bars, as a verifier may be given it too."""
        people = self.people
        by_hash = people.certificates(people.dbx_by_hash)
        barred = self._digests(lambda case: case.barred)
        return Listed(people.certificates(people.dbx), barred, by_hash)

    def only(self, which: Callable[[Case], bool]) -> Batch:
        """Return a batch of these rows."""
        rows = tuple(row for row in self.rows if which(row.case))
        return Batch(self.architecture, self.people, rows)

    def ask_firmware(self, db: Listed, dbx: Listed, log: Path) -> tuple[dict[str, Said], Console]:
        """Start the machine once, with these databases and a disk for every image."""
        off = self.rows[0].making.signed(efi_program(self.architecture), "ours")
        images = [*(row.image for row in self.rows), off]
        platform = signature_list([signer("platform").certificate])
        databases = Databases(platform, db.encode(), dbx.encode())
        console = start(self.architecture, images, databases, log)
        told = enumerate(self.rows)
        return {row.case.name: console.said(n, row.making.line) for n, row in told}, console

    def ask_sbverify(self, folder: Path) -> dict[str, str]:
        """Ask sbverify about every image and its signer's certificate."""
        path, told = folder / "image.efi", {}
        for row in self.rows:
            path.write_bytes(row.image)
            _, certificate = self.people[row.case.signer].write(folder, "signer")
            command: list[str | Path] = ["sbverify", "--cert", certificate, path]
            done = subprocess.run(command, capture_output=True, check=False, timeout=90)
            told[row.case.name] = FAILS if done.returncode else OK
        return told

    def _digests(self, which: Callable[[Case], Make | None]) -> tuple[Digest, ...]:
        wanted = [(which(row.case), row.making) for row in self.rows]
        return tuple(our_digest(make(making)) for make, making in wanted if make is not None)


def make_batch(architecture: str, people: People, scratch: Path) -> Batch:
    """Make every image of the table whose tool this machine has."""
    rows = []
    for number, case in enumerate(case for case in CASES if case.possible):
        line = f"boot case {number}, {architecture}."
        making = Making(architecture, line, people, scratch)
        rows.append(Made(case, making, case.make(making)))
    return Batch(architecture, people, tuple(rows))
