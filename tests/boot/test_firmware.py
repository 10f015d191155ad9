"""Firmware truth: OVMF and AAVMF with Secure Boot on judge what this project signs.

Each machine is started with a disk for every row of the table in `cases.py`; whoever else
judges images is held against the same table.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from boot.batch import Batch, make_batch
from boot.cases import CASES
from boot.firmware import BOARDS, Said, require
from boot.people import People
from boot.siglist import Listed, tbs_sha256
from pe.edk2 import Boots, Database, firmware_verdict
from pe.images import pem

from tui.commands.dispatch import dispatch


@pytest.fixture(params=BOARDS)
def batch(request: pytest.FixtureRequest, people: People, tmp_path: Path) -> Batch:
    return make_batch(request.param, people, tmp_path)


def wrong(said: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    """Return what is not as the table says, a line a row."""
    assert said.keys() == wanted.keys()
    return [f"{n}: {said[n]}, not {wanted[n]}" for n in wanted if said[n] != wanted[n]]


def test_the_firmware_says_what_the_table_says(batch: Batch, tmp_path: Path) -> None:
    require(batch.architecture)
    log = tmp_path / f"{batch.architecture}-table.log"
    said, console = batch.ask_firmware(batch.db(), batch.dbx(), log)
    found = wrong(said, {row.case.name: row.case.firmware for row in batch.rows})
    assert found == [], console.beside(found)
    missing = {case.needs for case in CASES if not case.possible}
    if missing:
        pytest.skip(f"all but the control by {', '.join(missing)}, which is not installed")


def test_what_dbx_refuses_boots_without_it(batch: Batch, tmp_path: Path) -> None:
    require(batch.architecture)
    revoked = batch.only(lambda case: case.revoked)
    log = tmp_path / f"{batch.architecture}-no-dbx.log"
    said, console = revoked.ask_firmware(batch.db(), Listed(), log)
    found = wrong(said, dict.fromkeys(said, Said.BOOTS))
    assert found == [], console.beside(found)


@pytest.mark.skipif(shutil.which("sbverify") is None, reason="sbverify is not installed")
def test_sbverify_says_what_the_table_says(batch: Batch, tmp_path: Path) -> None:
    said = batch.ask_sbverify(tmp_path)
    assert wrong(said, {row.case.name: row.case.sbverify for row in batch.rows}) == []


def test_our_sbverify_with_db_and_dbx_says_what_the_firmware_says(
    batch: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for digests in db, which it is not given, and ECDSA, which firmware does not take."""
    db, dbx, image = tmp_path / "db.pem", tmp_path / "dbx.esl", tmp_path / "image.efi"
    db.write_text("".join(map(pem, batch.db().certificates)), "ascii")
    dbx.write_bytes(batch.dbx().encode())
    judged = batch.only(lambda case: case.allowed is None and case.signer not in ("p256", "p384"))
    said, revoked = {}, {}
    for row in judged.rows:
        image.write_bytes(row.image)
        status = dispatch(["sbverify", "--cert", str(db), "--dbx", str(dbx), str(image)])
        said[row.case.name] = {0: Said.BOOTS, 1: Said.REFUSED}.get(status)
        revoked[row.case.name] = "SIG-REVOKED" in capsys.readouterr().err
    assert wrong(said, {row.case.name: row.case.firmware for row in judged.rows}) == []
    assert wrong(revoked, {row.case.name: row.case.revoked for row in judged.rows}) == []


def test_the_model_of_the_firmware_says_what_the_table_says(batch: Batch) -> None:
    said = told(batch, batch.dbx())
    assert wrong(said, {row.case.name: row.case.firmware for row in batch.rows}) == []
    said = told(batch.only(lambda case: case.revoked), Listed())
    assert wrong(said, dict.fromkeys(said, Said.BOOTS)) == []


def told(batch: Batch, dbx: Listed) -> dict[str, Said]:
    """Return the verdicts of the model in tests/pe/edk2.py."""
    trusted, barred = modelled(batch.db()), modelled(dbx)
    verdicts = ((row, firmware_verdict(row.image, trusted, barred)) for row in batch.rows)
    return {
        row.case.name: Said.BOOTS if isinstance(verdict, Boots) else Said.REFUSED
        for row, verdict in verdicts
    }


def modelled(listed: Listed) -> Database:
    return Database(
        listed.certificates,
        frozenset(digest.value for digest in listed.digests),
        frozenset(map(tbs_sha256, listed.by_hash)),
    )
