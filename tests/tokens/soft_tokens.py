"""Tokens that are folders: SoftHSM2 and NSS softokn. Made once, copied for each test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tokens.brought import LIMITS, PIN, SO_PIN, Brought, init_key
from tokens.daemons import library, needed, needed_file

from hsm.binding import Binding, find_module


def _softhsm_binding(folder: Path) -> Binding:
    module = find_module()
    if module is None:
        pytest.skip("libsofthsm2.so (Debian: softhsm2) is not installed")
    return Binding(module, (("SOFTHSM2_CONF", str(folder / "softhsm2.conf")),), LIMITS)


SOFTHSM_URI = "pkcs11:token=uki-token"


def make_softhsm(folder: Path) -> dict[str, bytes]:
    binding = _softhsm_binding(folder)
    (folder / "tokens").mkdir()
    _softhsm_configuration(folder)
    tool = needed("softhsm2-util", package="softhsm2")
    command = [tool, "--init-token", "--free", "--label", "uki-token"]
    pins = ["--pin", PIN, "--so-pin", SO_PIN]
    environment = dict(binding.environment)
    subprocess.run(command + pins, env=environment, capture_output=True, check=True)
    kinds = {"rsa": "rsa2048", "ec": "p256"}
    return {kind: init_key(binding, SOFTHSM_URI, name, folder) for kind, name in kinds.items()}


def _softhsm_configuration(folder: Path) -> None:
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
        "log.level = ERROR\nslots.removable = false\n"
    )


@contextmanager
def bring_softhsm(made: Path, folder: Path) -> Iterator[Brought]:
    shutil.copytree(made, folder, dirs_exist_ok=True)
    _softhsm_configuration(folder)
    tokens, away = folder / "tokens", folder / "away"

    def pull() -> None:
        tokens.rename(away)
        tokens.mkdir()

    def insert() -> None:
        tokens.rmdir()
        away.rename(tokens)

    low = ("count-low", "count-low", "count-low")
    binding = _softhsm_binding(folder)
    yield Brought("softhsm", binding, SOFTHSM_URI, pull, insert, flags=low)


NSS_URI = "pkcs11:token=NSS%20Certificate%20DB"
_SOFTOKN = library("libsoftokn3.so") + library("nss/libsoftokn3.so")


def _nss_binding(folder: Path) -> Binding:
    module = needed_file(_SOFTOKN, package="libnss3")
    where = f"configdir='sql:{folder / 'db'}' certPrefix='' keyPrefix=''"
    text = f"{where} secmod='secmod.db' flags=optimizeSpace"
    return Binding(module, (), LIMITS, init_args=text)


def make_nss(folder: Path) -> dict[str, bytes]:
    binding = _nss_binding(folder)
    (folder / "db").mkdir()
    (folder / "pin").write_text(f"{PIN}\n")
    tool = needed("certutil", package="libnss3-tools")
    command = [tool, "-N", "-d", f"sql:{folder / 'db'}", "-f", str(folder / "pin")]
    subprocess.run(command, env={}, capture_output=True, check=True)
    kinds = {"rsa": "rsa2048", "ec": "p256"}
    return {kind: init_key(binding, NSS_URI, name, folder) for kind, name in kinds.items()}


@contextmanager
def bring_nss(made: Path, folder: Path) -> Iterator[Brought]:
    shutil.copytree(made, folder, dirs_exist_ok=True)
    database, away = folder / "db", folder / "away"
    binding = _nss_binding(folder)
    yield Brought(
        "nss",
        binding,
        NSS_URI,
        lambda: _move(database, away),
        lambda: _move(away, database),
        notices=False,
    )


def _move(source: Path, target: Path) -> None:
    source.rename(target)
