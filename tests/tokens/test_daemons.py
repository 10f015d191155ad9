"""What runs beside a token ends with the tests, also when they are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tokens.daemons import answers, needed, needed_file, short_folder
from tokens.virtual_reader import DRIVERS

ROOT = Path(__file__).resolve().parents[1]
READER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tokens.piv_card import PivCard
from tokens.virtual_reader import reader
with reader(PivCard({})) as environment:
    print(environment["PCSCLITE_CSOCK_NAME"], flush=True)
    time.sleep(60)
"""


def test_a_killed_test_leaves_no_daemon_and_the_next_removes_its_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed("bwrap", package="bubblewrap")
    needed("pcscd", package="pcscd")
    needed_file(DRIVERS, package="vsmartcard-vpcd")
    command = [sys.executable, "-I", "-c", READER, str(ROOT)]
    # A place of its own: any other test that makes a short folder would remove this one's too.
    with tempfile.TemporaryDirectory(prefix="uki-killed-") as place:
        monkeypatch.setattr(tempfile, "tempdir", place)
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": place},
        ) as killed:
            assert killed.stdout is not None
            assert killed.stderr is not None
            if not (said := killed.stdout.readline().strip()):
                ended = killed.stderr.read()
                assert "no namespaces for" in ended, ended
                pytest.skip("no namespaces for pcscd here")
            line = Path(said)
            assert answers(line)
            killed.kill()
        end = time.monotonic() + 10
        while answers(line) and time.monotonic() < end:
            time.sleep(0.05)
        assert not answers(line)
        assert line.exists()
        with short_folder():
            assert not line.exists()
