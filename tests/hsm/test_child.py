"""The child process: isolated, hardened, bounded, and deaf to the folder it is started in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from marks import refuses

import hsm
from ceremony.errors import TokenTrouble
from ceremony.token import LoginResult, PinState, SignResult
from hsm import child as child_room
from hsm.binding import Binding, Limits
from hsm.child import Child, ChildLost
from hsm.cryptoki import Cryptoki
from hsm.described import NAMES
from hsm.worker import Request, wipe_text

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

CANARY = "canary-PIN-60917"


def bound(environment: tuple[tuple[str, str], ...] = (), limit: float = 10) -> Binding:
    return Binding(Path("/nonexistent.so"), environment, Limits(start=limit))


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def gone(pid: int, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if status(pid)["State"].startswith("Z"):
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def test_the_child_is_hardened() -> None:
    child = Child("signing", bound((("SETTING", "kept"),)))
    facts = status(child.pid)
    assert facts["NoNewPrivs"] == "1"
    assert facts["Threads"] == "1"
    assert b"-I" in Path(f"/proc/{child.pid}/cmdline").read_bytes().split(b"\0")
    limits = Path(f"/proc/{child.pid}/limits").read_text()
    assert "Max core file size 0 0" in " ".join(limits.split())
    assert os.getsid(child.pid) == child.pid
    if os.geteuid() == 0:
        assert Path(f"/proc/{child.pid}/cwd").readlink() == Path("/")
        environment = Path(f"/proc/{child.pid}/environ").read_bytes().split(b"\0")
        names = {line.partition(b"=")[0] for line in environment if line}
        assert names <= {b"PATH", b"SETTING", b"LC_CTYPE"}
    else:
        with pytest.raises(PermissionError):
            Path(f"/proc/{child.pid}/environ").read_bytes()
    child.close()
    assert gone(child.pid)
    child.close()


def test_a_hardened_process_is_not_dumpable() -> None:
    """Asked of itself: to root, the files of every process in /proc look the same."""
    folder = str(Path(hsm.__file__).parent.parent)
    program = (
        f"import ctypes, sys; sys.path.insert(0, {folder!r})\n"
        "from hsm.worker import harden\n"
        "ask = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)  # PR_GET_DUMPABLE\n"
        "before = ask(); harden(); print(before, ask())"
    )
    result = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=True)
    assert result.stdout == b"1 0\n"


def test_a_text_is_wiped_in_place_and_single_characters_are_left_alone() -> None:
    text = bytearray(CANARY.encode()).decode("ascii")
    wipe_text(text)
    assert text == "\0" * len(CANARY)
    one = b"x".decode("ascii")
    wipe_text(one)
    assert one == "x"


class Lock:
    """A slot and its token whose login fails, which shows the credential it was given."""

    label = model = manufacturer_id = ""
    serial = b""

    def __init__(self) -> None:
        self.given = ""

    def get_token(self) -> Lock:
        return self

    def open(self, user_pin: str) -> None:
        self.given = user_pin
        raise pkcs11.PinIncorrect


def test_the_child_wipes_a_pin_that_was_wrong() -> None:
    reader, writer = os.pipe()
    os.write(writer, CANARY.encode())
    taken: list[bytearray] = []

    class Watched(Request):
        def pin(self) -> bytearray:
            taken.append(super().pin())
            return taken[-1]

    fields = {"length": len(CANARY), "reader": 0, "parts": "", "keep": 0, "certificate": ""}
    numbers = {"modulus": "01", "exponent": "01", "point": ""}
    desk, lock = Cryptoki(), Lock()
    desk._slot = lock  # type: ignore[assignment]  # one answer of a slot is all that is needed
    desk._names = dict.fromkeys(NAMES, "")
    answer = desk.login(Watched({**fields, **numbers}, reader))
    assert answer == {"outcome": "wrong-pin", "code": "PinIncorrect"}
    assert taken == [bytearray(len(CANARY))]
    assert lock.given == "\0" * len(CANARY)
    os.close(reader)
    os.close(writer)


def test_a_hostile_working_folder_and_environment_change_nothing(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hsm", "pkcs11", "json", "ctypes", "ceremony", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    token = bench.token()
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    token.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_dies_with_its_parent_even_while_the_module_hangs(
    bench: Bench, shim: Path, number: signal.Signals
) -> None:
    binding = bench.shimmed(shim, DOES="C_Initialize:hang").binding
    folder = str(Path(hsm.__file__).parent.parent)
    program = (
        f"import sys; sys.path.insert(0, {folder!r})\n"
        "from pathlib import Path\n"
        "from hsm.binding import Binding\n"
        "from hsm.child import Child\n"
        f"binding = Binding(Path({str(binding.module)!r}), {binding.environment!r})\n"
        "child = Child('signing', binding)\n"
        "print(child.pid, flush=True)\n"
        f"child.ask('load', 60, module={str(binding.module)!r})"
    )
    parent = subprocess.Popen([sys.executable, "-I", "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.2)
    assert not gone(pid, 0.1)
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    assert gone(pid)


def test_a_child_outlives_the_thread_that_asked_for_it() -> None:
    made: list[Child] = []
    thread = threading.Thread(target=lambda: made.append(Child("signing", bound())))
    thread.start()
    thread.join()
    time.sleep(0.2)
    with pytest.raises(TokenTrouble, match="KEY-MODULE"):
        made[0].ask("load", 5, module="/nonexistent.so")
    made[0].close()


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        ('print(\'{"n":0,"ok":{}}\')', "it ended by itself"),
        ("write(b'garbage\\n')", "its answer cannot be read"),
        ("write(b'[]\\n')", "its answer cannot be read"),
        ('write(b\'{"n":7,"ok":{}}\\n\')', "it answered another request"),
        ('write(b\'{"n":0,"ok":3}\\n\')', "its answer cannot be read"),
        ('write(b\'{"n":0,"no":3}\\n\')', "its answer cannot be read"),
        ("write(b'[' * 100000 + b'\\n')", "its answer cannot be read"),
        ("[write(b'x' * 65536) for _ in range(20)]", "its answer is over"),
        ("time.sleep(9)", "no answer within 0.6 seconds"),
        ("os.closerange(0, 99); time.sleep(9)", "it closed its pipes"),
        ("os.fork() or time.sleep(9)", "it ended by itself"),
    ],
)
@refuses("KEY-CHILD")
def test_whatever_the_process_says_instead_of_an_answer_is_a_lost_child(
    monkeypatch: pytest.MonkeyPatch, answer: str, fact: str
) -> None:
    program = (
        f"import os, sys, time; write = lambda data: os.write(int(sys.argv[2]), data); {answer}"
    )
    monkeypatch.setattr(child_room, "_START", program)
    monkeypatch.setattr(child_room, "_CLOSE_SECONDS", 0.3)
    limit = 0.6 if "0.6 seconds" in fact else 30  # what says something says it at once
    with pytest.raises(ChildLost, match=f"KEY-CHILD: .*{fact}"):
        Child("signing", bound(limit=limit))


@refuses("KEY-CHILD")
def test_no_interpreter_is_a_lost_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ChildLost, match="KEY-CHILD: no process"):
        Child("signing", bound(limit=5))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_descriptor_and_no_process_is_left_behind(bench: Bench) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    token = bench.token()
    for _ in range(3):
        token.probe(bench.certificate)
        token.login(bytearray(b"wrong-pin"))
    token.close()
    assert count() == before


def test_what_a_module_prints_is_kept_until_a_pin_is_sent(bench: Bench, shim: Path) -> None:
    settings = bench.shimmed(shim, DOES="C_Initialize:print").binding
    child = Child("signing", settings)
    child.ask("load", 10, module=str(settings.module))
    assert child.chatter.endswith("7999") or "chatter on standard" in child.chatter
    child.send_pin(bytearray(b"1234"))
    assert "not kept since a PIN was sent" in child.chatter
    child.close()


def test_the_pin_is_in_no_output_log_argument_environment_or_file(
    bench: Bench, shim: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    # The module tells the PIN on standard error, as tpm2-pkcs11's and pesign's debug builds do.
    token = bench.shimmed(shim, TELLS="1").token()
    token.probe(bench.certificate)
    said: list[str] = []
    for pin in (CANARY, bench.pin):
        result: LoginResult | SignResult = token.login(bytearray(pin.encode()))
        said.append(repr(result))
        said.append(repr(vars(token)))
        child = token._child
        assert child is not None
        said.append(child.chatter)
        said.extend(_read(Path(f"/proc/{child.pid}/{name}")) for name in ("cmdline", "environ"))
    said.append(repr(token.sign(bench.request())))
    token.close()
    broken = bench.shimmed(shim, TELLS="1", DOES="C_Login:segfault").token()
    broken.probe(bench.certificate)
    with pytest.raises(TokenTrouble) as trouble:
        broken.login(bytearray(CANARY.encode()))
    said.append(repr(trouble.value))
    said.extend([*capfd.readouterr(), caplog.text])
    said.extend(path.read_bytes().hex() for path in bench.folder.rglob("*") if path.is_file())
    everything = "\n".join(said)
    assert "certificate" in everything
    for pin in (CANARY, bench.pin):
        assert pin not in everything
        assert pin.encode().hex() not in everything


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("latin-1")
    except PermissionError:  # not dumpable: not even the owner reads it
        return ""


@pytest.mark.parametrize(
    ("always", "keep"),
    [(False, False), (True, False), (True, True)],
    ids=["once", "typed-at-each-use", "kept-for-nobody-types-it"],
)
def test_the_child_keeps_a_pin_only_where_nobody_types_it_again(
    bench: Bench,
    rsa_key: rsa.RSAPrivateKey,
    certify: Callable[..., bytes],
    *,
    always: bool,
    keep: bool,
) -> None:
    bench.arrange(rsa_key, attributes={"ALWAYS_AUTHENTICATE": always})
    bench = bench.with_certificate(certify(rsa_key))
    token = bench.token()
    waiting: list[int | None] = []

    def again(_state: PinState) -> bytearray:
        assert token._child is not None
        waiting.append(_copies(token._child.pid, bench.pin.encode()))
        return bench.typed()

    token.probe(bench.certificate)
    assert token.login(bench.typed(), use=again, keep=keep).outcome == "ok"
    child = token._child
    assert child is not None
    found = [_copies(child.pid, bench.pin.encode())]
    assert token.sign(bench.request(), again).outcome == "signed"
    found.append(_copies(child.pid, bench.pin.encode()))
    token.close()
    # None: the child is not dumpable, so the kernel shows its memory to root alone.
    assert None not in found or os.geteuid() != 0
    assert found[0] in ((1, 2, 3, None) if keep else (0, None))
    assert found[1] in (0, None), "after the signature no PIN is there, kept or not"
    assert len(waiting) == (2 if always and not keep else 0)
    assert set(waiting) <= {0, None}, "none is there while people are asked for the next"


def _copies(pid: int, needle: bytes) -> int | None:
    found = 0
    try:
        with Path(f"/proc/{pid}/mem").open("rb") as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                if "rw" not in line.split()[1] or "[v" in line:
                    continue
                memory.seek(start)
                found += memory.read(end - start).count(needle)
    except OSError:
        return None
    return found
