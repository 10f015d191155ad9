"""What a process of its own around a token costs: its start, each signature, a crash.

Run by hand: `.venv/bin/python bench/tokens.py`. SoftHSM2, since it is the fastest token that
can be had; signatures through the process and straight through the same library alternate.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ceremony.errors import TokenTrouble
from ceremony.preflight import mechanism_for, read_certificate, signing_key, spki_sha256
from ceremony.token import sign_request
from ceremony.types import Mode
from hsm.binding import Limits, read_binding
from hsm.child import Child, Desk
from hsm.provision import Provisioned, make_rehearsal_token
from hsm.token import Pkcs11Token

ROUNDS = 41
PIN = "246813"
SHIM = Path(__file__).parent.parent / "tests" / "hsm" / "shim.c"
DIRECT = """
import json, sys, time, pkcs11
module, pin = sys.argv[1:]
tokens = (slot.get_token() for slot in pkcs11.lib(module).get_slots())
token = next(token for token in tokens if "rehearsal" in token.label)
session = token.open(user_pin=pin)
key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY)
data = bytes.fromhex("3031300d060960864801650304020105000420") + bytes(32)
for line in sys.stdin:
    start = time.perf_counter()
    key.sign(data, mechanism=pkcs11.Mechanism.RSA_PKCS)
    print(time.perf_counter() - start, flush=True)
"""


def main() -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        now = datetime.now(UTC)
        day = timedelta(days=1)
        made = make_rehearsal_token(
            Path(folder) / "token", PIN, not_before=now - day, not_after=now + day
        )
        rows = (
            ("start of the process, until it answers", start(made, "signing"), 250.0),
            ("the same in a ceremony, which judges approvals", start(made, "ceremony"), 250.0),
            ("a signature, over the token's own time", overhead(made), 20.0),
            ("a crash in C_Login, until it is known", lost(made, Path(folder), "segfault"), 100.0),
            ("a hang of C_Login, over its limit of 500 ms", hung(made, Path(folder)), 100.0),
        )
    print("| what | median | 90 of 100 | wanted below |\n|---|---|---|---|")
    for what, found, most in rows:
        high = sorted(found)[len(found) * 9 // 10]
        print(f"| {what} | {statistics.median(found):.1f} ms | {high:.1f} ms | {most:.0f} ms |")


def start(made: Provisioned, desk: Desk) -> list[float]:
    """Return how long it takes to have a process that answers."""
    binding, found = read_binding(made.binding_toml.encode()), []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        child = Child(desk, binding)
        found.append(1000 * (time.perf_counter() - begun))
        child.close()
    return found


def overhead(made: Provisioned) -> list[float]:
    """Return what a signature takes longer through the process, verified, than straight."""
    binding = read_binding(made.binding_toml.encode())
    key = signing_key(read_certificate(made.certificate_pem))
    request = sign_request(Mode.REHEARSAL, 1, spki_sha256(key), mechanism_for(key), "ab" * 32)
    token = Pkcs11Token(binding, made.uri)
    token.probe(made.certificate_pem)
    token.login(bytearray(PIN.encode()))
    found = []
    command = [sys.executable, "-c", DIRECT, str(binding.module), PIN]
    pipe = subprocess.PIPE
    environment = dict(binding.environment)
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as direct:
        if direct.stdin is None or direct.stdout is None:
            raise SystemExit("no pipes")
        for _ in range(ROUNDS):
            direct.stdin.write("\n")
            direct.stdin.flush()
            own = json.loads(direct.stdout.readline())
            begun = time.perf_counter()
            if token.sign(request).outcome != "signed":
                raise SystemExit("no signature")
            found.append(1000 * (time.perf_counter() - begun - own))
        direct.stdin.close()
    token.close()
    return found


def hung(made: Provisioned, folder: Path) -> list[float]:
    """Return by how much a hang is noticed after its limit."""
    return [took - 500 for took in lost(made, folder, "hang", rounds=5)]


def lost(made: Provisioned, folder: Path, does: str, rounds: int = ROUNDS) -> list[float]:
    """Return how long a login takes whose module crashes or hangs."""
    shim = folder / "shim.so"
    if not shim.exists():
        build = ["cc", "-shared", "-fPIC", "-o", str(shim), str(SHIM), "-ldl"]
        subprocess.run(build, check=True)
    real = read_binding(made.binding_toml.encode())
    environment = (("SHIM_REAL", str(real.module)), ("SHIM_DOES", f"C_Login:{does}"))
    limits = Limits(login=0.5)
    binding = replace(
        real, module=shim, environment=(*real.environment, *environment), limits=limits
    )
    return [_took(Pkcs11Token(binding, made.uri), made.certificate_pem) for _ in range(rounds)]


def _took(token: Pkcs11Token, certificate: bytes) -> float:
    token.probe(certificate)
    begin: Callable[[], float] = time.perf_counter
    begun = begin()
    with suppress(TokenTrouble):
        token.login(bytearray(PIN.encode()))
    took = 1000 * (begin() - begun)
    token.close()
    return took


main()
