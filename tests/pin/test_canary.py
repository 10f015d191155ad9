"""A canary PIN, typed as people type it, is then sought in memory, files, screens and cores."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from pin.console import F9, Console, copies_in, stop, wide
from pin.staged import (
    CANARY,
    confirm_on_screen,
    confirm_plainly,
    files_with,
    resumed,
    stopped_before_the_pin,
    type_pin,
    type_seen,
    until_signed,
)

from hsm.shares import dealt
from tui.rehearsal.prepare import Prepared

HALVES = (CANARY[:6].encode(), CANARY[6:].encode())


def nowhere(console: Console, prepared: Prepared, *needles: bytes) -> None:
    """Assert that nothing holds a needle: memory, screen, files, arguments, environment."""
    place = Path(f"/proc/{console.process.pid}")
    for needle in needles:
        assert console.copies(needle) == []
        assert console.copies(wide(needle)) == []
        assert needle not in console.screen
        assert files_with(prepared.folder.parent, needle) == []
        assert needle not in (place / "cmdline").read_bytes()
        assert needle not in (place / "environ").read_bytes()


def test_two_halves_on_the_full_screen_are_nowhere_after_use(prepared: Prepared) -> None:
    stopped_before_the_pin(prepared, 'pin = "halves"')
    with resumed(prepared) as console:
        confirm_on_screen(console)
        console.wait("half 1 of 2")
        type_seen(console, b"kim")
        console.type(b"\r", 0.3)
        drawn = type_pin(console, HALVES[0])
        assert drawn.count(b"********") == 1, "no key but the first draws anything"
        console.press(F9)
        console.wait("half 2 of 2")
        type_pin(console, HALVES[1])
        assert console.copies(HALVES[0]) == [], "the face forgot it before the other came"
        console.press(F9)
        until_signed(console, prepared)
        nowhere(console, prepared, CANARY.encode(), *HALVES)


def test_a_pin_at_plain_prompts_is_nowhere_after_use(prepared: Prepared) -> None:
    stopped_before_the_pin(prepared)
    with resumed(prepared, "--plain") as console:
        confirm_plainly(console)
        console.wait("Who types the PIN")
        console.type(b"kim\n", 0)
        console.wait("PIN (not shown):")
        console.type(CANARY.encode() + b"\n", 0)
        until_signed(console, prepared)
        nowhere(console, prepared, CANARY.encode(), CANARY[:11].encode(), CANARY[5:].encode())


def test_the_words_of_shares_are_nowhere_after_use(prepared: Prepared) -> None:
    pytest.importorskip("shamir_mnemonic", reason="the package shamir-mnemonic")
    stopped_before_the_pin(prepared, 'pin = "shares"\npin_shares = 2')
    shares = dealt(bytearray(CANARY.encode()), 2, 3)[1:]
    with resumed(prepared, "--plain") as console:
        confirm_plainly(console)
        console.wait("Who types the words of share 1 of 2")
        console.type(b"kim\n", 0)
        for number, share in enumerate(shares, 1):
            console.wait(f"words of share {number} of 2 (not shown):")
            console.type(bytes(share) + b"\n", 0)
        until_signed(console, prepared)
        inner = [b" ".join(share.split()[5:8]) for share in shares]
        nowhere(console, prepared, CANARY.encode(), *map(bytes, shares), *inner)


def test_a_pin_from_a_descriptor_is_nowhere_after_use(prepared: Prepared, tmp_path: Path) -> None:
    """sbsign ends when it has signed, so its memory is looked at while it waits for the image."""
    stopped_before_the_pin(prepared)
    policy = prepared.policy.read_text()
    certificate = tmp_path / "signer.pem"
    certificate.write_text(policy.split('certificate = """')[1].split('"""')[0].strip() + "\n")
    uri = re.findall(r'uri = "(pkcs11:[^"]+)"', policy)[0]
    reader, writer = os.pipe()
    os.write(writer, CANARY.encode() + b"\n")
    program = _HOLDING.format(
        certificate=str(certificate), uri=uri, machine=str(prepared.machine), reader=reader
    )
    with Console("-I", "-c", program, folder=tmp_path, pass_fds=(reader,)) as console:
        console.wait("LOGGED IN")
        nowhere(console, prepared, CANARY.encode(), CANARY[:11].encode())
    os.close(reader)
    os.close(writer)


_HOLDING = """
import time
from pathlib import Path
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from tui.sbsigntools.keys import open_key
from tui.sbsigntools.secrets import Secrets
pem = Path({certificate!r}).read_bytes()
der = load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
key = open_key({uri!r}, der, Secrets({reader}), Path({machine!r}), lambda found: None)
print("LOGGED IN", flush=True)
time.sleep(60)
"""


def test_a_crash_of_the_face_leaves_no_core(prepared: Prepared, tmp_path: Path) -> None:
    stopped_before_the_pin(prepared)
    with Console(
        *("-I", "-m", "tui", "rehearse", str(prepared.folder)),
        folder=tmp_path,
        size=(50, 140),
        before=_cores_allowed,
    ) as console:
        confirm_on_screen(console)
        console.wait("The PIN")
        type_seen(console, b"kim")
        console.type(b"\r", 0.3)
        type_pin(console, CANARY.encode())  # it is in memory when the crash comes
        stop(console.process.pid)
        assert console.end() < 0
        assert CANARY.encode() not in console.screen
    assert not list(tmp_path.glob("core*"))
    assert not files_with(tmp_path, CANARY.encode())


def test_a_crash_of_the_tokens_process_leaves_no_core(prepared: Prepared, tmp_path: Path) -> None:
    stopped_before_the_pin(prepared)
    before = set(Path("/").glob("core*"))
    program = _CRASHING.format(machine=str(prepared.machine), policy=str(prepared.policy))
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, CANARY],
        preexec_fn=_cores_allowed,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["core_limit"] == "0"
    assert told["lost"] == "it crashed (SIGSEGV)"
    assert set(Path("/").glob("core*")) == before
    assert not list(tmp_path.glob("core*"))


_CRASHING = """
import json, os, signal, sys, time
from pathlib import Path
from ceremony.errors import TokenTrouble
from ceremony.policy import load
from hsm.binding import read_binding
from hsm.token import Pkcs11Token
signer = load(Path({policy!r}).read_bytes()).signer
token = Pkcs11Token(read_binding(Path({machine!r}).read_bytes()), signer.uri)
token.probe(signer.certificate.encode())
assert token.login(bytearray(sys.argv[1].encode())).outcome == "ok"
pid = token._child.pid
limits = Path(f"/proc/{{pid}}/limits").read_text()
core = next(line.split()[4] for line in limits.splitlines() if line.startswith("Max core"))
os.kill(pid, signal.SIGSEGV)
time.sleep(0.3)
try:
    token.probe(signer.certificate.encode())
    lost = ""
except TokenTrouble as trouble:
    lost = trouble.text.partition("lost: ")[2]
print(json.dumps({{"core_limit": core, "lost": lost}}))
"""


def test_a_program_that_keeps_nothing_from_cores_leaves_one_here(tmp_path: Path) -> None:
    """The tests above mean something only where a core would have been left."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith(("|", "/")):
        pytest.skip(f"cores of this machine go elsewhere: core_pattern is {pattern}")
    program = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    subprocess.run(
        [sys.executable, "-I", "-c", program],
        preexec_fn=_cores_allowed,
        cwd=tmp_path,
        check=False,
    )
    if not list(tmp_path.glob("core*")):
        pytest.skip("the hard limit of this machine allows no cores")


def _cores_allowed() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def test_the_search_of_memory_finds_what_is_kept() -> None:
    program = (
        "import sys, time; kept = sys.stdin.readline(); print('here', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{CANARY}\n")
        process.stdin.flush()
        process.stdout.readline()
        assert copies_in(process.pid, CANARY.encode())
        process.kill()
