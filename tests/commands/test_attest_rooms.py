"""The rooms of attest --twice, seen from inside: the sentinel test of a jail."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from commands.builder_desk import tool
from marks import accepts, refuses

from ceremony.errors import MediaTrouble, Refused, Trouble
from tui.building.calls import call_filter
from tui.building.proof import prove
from tui.building.sandbox import KEYS, ROOMS, Bubblewrap, Input, Site
from tui.building.twice import take_inputs

EPOCH = 1700000000


def inside(bubblewrap: Bubblewrap, script: str, *inputs: Input, room: int = 0) -> str:
    with tempfile.TemporaryFile() as output:
        command_line = ("/bin/sh", "-c", f"exec 2>&1; {script}")
        Site(bubblewrap, inputs, EPOCH).run(ROOMS[room], command_line, output, 1 << 20, 60)
        output.seek(0)
        return output.read().decode("utf-8", "replace")


@accepts("ATT-SANDBOX")
@pytest.mark.parametrize("room", [0, 1])
def test_a_file_outside_is_invisible(bubblewrap: Bubblewrap, tmp_path: Path, room: int) -> None:
    sentinel = tmp_path / "sentinel"
    sentinel.write_text("seen\n", "utf-8")
    for path in (sentinel, Path.home(), Path(__file__), Path("/etc/hostname"), Path("/root")):
        said = inside(bubblewrap, f"ls -d {path} && echo seen || echo unseen", room=room)
        assert said.splitlines()[-1] == "unseen", said
    assert inside(bubblewrap, "ls /home /tmp; ls -A /build", room=room).count("sentinel") == 0


def test_the_network_is_unreachable(bubblewrap: Bubblewrap) -> None:
    bash = tool("bash")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        knock = f"echo knock >/dev/tcp/127.0.0.1/{port} && echo through"
        outside = subprocess.run([bash, "-c", knock], capture_output=True, text=True, check=True)
        assert outside.stdout == "through\n", "the control"
        assert "through" not in inside(bubblewrap, f"{bash} -c '{knock}'")
    assert inside(bubblewrap, "tail -n +3 /proc/net/dev | cut -d: -f1").split() in ([], ["lo"])
    assert len(inside(bubblewrap, "cat /proc/net/route").splitlines()) <= 1


def test_abstract_sockets_are_unreachable(bubblewrap: Bubblewrap) -> None:
    name = f"uki-ceremony-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        assert name in Path("/proc/net/unix").read_text("utf-8"), "the control"
        assert name not in inside(bubblewrap, "cat /proc/net/unix")


@pytest.mark.parametrize("room", [0, 1])
def test_inputs_and_programs_cannot_be_written(
    bubblewrap: Bubblewrap, tmp_path: Path, room: int
) -> None:
    tree, file = tmp_path / "tree", tmp_path / "file"
    tree.mkdir()
    (tree / "x").write_text("input\n", "utf-8")
    file.write_text("input\n", "utf-8")
    inputs = take_inputs([tree, file])
    tries = (
        *("echo x >tree/new", "echo x >tree/x", "rm tree/x", "chmod 777 tree", "mkdir tree/d"),
        *(
            "echo x >>file",
            "mv file other",
            "echo x >/usr/bin/new",
            "echo x >/new",
            "echo x >/dev/x",
        ),
        *(": >>/proc/sys/kernel/core_pattern", ": >>/proc/sys/kernel/hostname"),
        *("mount -o remount,rw /build/tree", "umount /build/tree", "echo x >/etc/passwd"),
    )
    for words in tries:
        said = inside(bubblewrap, f"( {words} ) && echo done || echo refused", *inputs, room=room)
        assert said.splitlines()[-1] == "refused", words
    assert (tree / "x").read_text("utf-8") == file.read_text("utf-8") == "input\n"
    assert [path.name for path in tree.iterdir()] == ["x"]


def test_nothing_may_be_done_and_nobody_else_is_seen(
    bubblewrap: Bubblewrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARK", "outside")
    status = inside(bubblewrap, "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"] == "1"
    assert inside(bubblewrap, "ls -d /proc/[0-9]*").count("/proc/") <= 4
    assert "MARK" not in inside(bubblewrap, "cat /proc/*/environ 2>/dev/null")
    if bubblewrap.fixed_users:
        assert "nested" not in inside(bubblewrap, "unshare -U echo nested")


def test_switches_of_the_kernel_cannot_be_opened_by_its_root(bubblewrap: Bubblewrap) -> None:
    """Their owner is root, who needs no capability for them: the room's user, if root builds."""
    found = "find /proc -path '/proc/[0-9]*' -prune -o -type f -writable -print 2>/dev/null"
    said = inside(bubblewrap, f"{tool('find')} --version >/dev/null; {found}")
    mine = ("/proc/self/", "/proc/thread-self/", *KEYS)  # the last are /dev/null
    assert [line for line in said.splitlines() if not line.startswith(mine)] == []


SECRET = f"uki-ceremony-secret-{os.getpid()}"
KEYRING = """
import ctypes, sys
from tui.building.calls import MACHINES
import platform
add, request, control = MACHINES[platform.machine()].keys
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(control, 1, None) < 0 or libc.syscall(
    add, b"user", sys.argv[1].encode(), b"told", 4, ctypes.c_int(-3)
) < 0:
    sys.exit("no keys here")
from commands.test_attest_rooms import inside
from tui.building import sandbox
ask = (
    f"import ctypes; l = ctypes.CDLL(None); k = l.syscall({request}, b'user', b'{sys.argv[1]}', 0,"
    f" 0); b = ctypes.create_string_buffer(9); l.syscall({control}, 11, k, b, 9); print(b.value)"
)
import subprocess
print(subprocess.run(["/usr/bin/python3", "-c", ask], capture_output=True, text=True).stdout)
print(inside(sandbox.find(), 'cat /proc/keys; /usr/bin/python3 -c "' + ask + '"'))
"""


def python_of_the_room() -> None:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("python3 is not installed in /usr/bin, where a room sees it")


def test_the_sessions_keys_do_not_come_along(bubblewrap: Bubblewrap) -> None:
    """A session's keyring goes through every namespace; what it holds is no room's business."""
    python_of_the_room()
    paths = [str(Path(__file__).resolve().parents[1]), *sys.path]
    start = f"import sys; sys.path[:0] = {paths!r}\n{KEYRING}"
    line = [sys.executable, "-I", "-c", start, SECRET]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if "no keys here" in done.stderr:
        pytest.skip("this kernel or container gives no keyring")
    assert done.returncode == 0, done.stderr
    outside, _, within = done.stdout.partition("\n")
    assert outside == "b'told'", "the control"
    assert "told" not in within
    assert SECRET not in within
    assert "b''" in within


def test_sockets_that_pass_namespaces_cannot_be_made(bubblewrap: Bubblewrap) -> None:
    python_of_the_room()
    tries = "".join(
        f"\ntry: socket.socket({family}, {kind}); print({family}, 'made')"
        f"\nexcept OSError as error: print({family}, error.errno)"
        for family, kind in ((40, 1), (29, 3), (31, 3), (38, 5), (1, 1), (2, 1), (10, 1), (16, 3))
    )
    said = inside(bubblewrap, f'/usr/bin/python3 -c "import socket{tries}"').split("\n")
    assert said[:4] == ["40 97", "29 97", "31 97", "38 97"]
    assert said[4:6] == ["1 made", "2 made"]
    assert said[7] == "16 made"


@refuses("ATT-SANDBOX")
def test_a_machine_whose_calls_are_not_known_makes_no_room() -> None:
    with pytest.raises(Trouble, match="no filter of system calls is known for vax"):
        call_filter("vax")


def test_there_is_shared_memory_to_build_with(bubblewrap: Bubblewrap) -> None:
    assert inside(bubblewrap, "echo here >/dev/shm/x && cat /dev/shm/x") == "here\n"


def test_a_room_holds_pipes_and_no_terminal(bubblewrap: Bubblewrap) -> None:
    """A terminal on standard error could be read: the passphrase that is typed next."""
    outside, held = pty.openpty()
    before = os.dup(2)
    try:
        os.dup2(held, 2)
        said = inside(bubblewrap, "ls -l /proc/self/fd | cut -d' ' -f9-; : </dev/tty")
    finally:
        os.dup2(before, 2)
        for each in (before, held, outside):
            os.close(each)
    assert "/dev/pts" not in said
    assert said.count("pipe:") == 2
    assert "No such device" in said


def test_what_a_build_says_is_shown_printable(
    bubblewrap: Bubblewrap, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryFile() as output:
        words = ("/bin/sh", "-c", r"printf '\033]52;c;x\007 caf\303\251\r1%%\t.\377' >&2")
        assert Site(bubblewrap, (), EPOCH).run(ROOMS[0], words, output, 1, 60) == 0
    said = capsys.readouterr().err
    assert said == "\\x1b]52;c;x\\x07 café\n1%        .�"


@refuses("MED-SIZE")
def test_an_endless_artifact_is_cut_off(bubblewrap: Bubblewrap) -> None:
    with tempfile.TemporaryFile() as output:
        with pytest.raises(Refused, match="MED-SIZE"):
            Site(bubblewrap, (), EPOCH).run(
                ROOMS[0], ("/bin/cat", "/dev/zero"), output, 1 << 20, 60
            )
        assert output.seek(0, os.SEEK_END) <= 1 << 20


def test_no_room_for_what_a_build_gives(bubblewrap: Bubblewrap) -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(MediaTrouble, match="No space left") as trouble,
    ):
        Site(bubblewrap, (), EPOCH).run(ROOMS[0], ("/bin/echo", "x"), full, 1 << 20, 60)
    assert trouble.value.rule == "MED-WRITE"


def test_what_a_build_leaves_behind_ends_with_it(bubblewrap: Bubblewrap) -> None:
    """Even what holds the pipes and is nobody's child any more."""
    seconds = str(5_000_000 + os.getpid())
    begun = time.monotonic()
    said = inside(bubblewrap, f"(setsid sleep {seconds} &) ; echo done")
    assert said == "done\n"
    assert time.monotonic() - begun < 30
    limit = time.monotonic() + 20
    while any(seconds.encode() in words for words in command_lines()):
        assert time.monotonic() < limit
        time.sleep(0.05)


def command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return found


WEAK = """#!{python} -IS
import os, sys
words = sys.argv[1:]
if "--" in words:
    {change}
os.execv({bwrap!r}, [{bwrap!r}, *words])
"""
SHARE_NET = """
    at = words.index("--unshare-all")
    words[at:at + 1] = ["--unshare-pid", "--unshare-uts", "--unshare-ipc"]
"""
SEE_OUTSIDE = """
    at = words.index("--")
    words[at:at] = ["--ro-bind", {folder!r}, {folder!r}]
"""
WRITABLE_INPUT = """
    words[words.index("/build/input") - 2] = "--bind"
"""
OPEN_SWITCHES = """
    at = words.index("/proc/sys")
    del words[at - 1:at + 2]
"""
ALL_CALLS = """
    at = words.index("--seccomp")
    del words[at:at + 2]
"""
KEEP_RIGHTS = """
    words[words.index("--cap-drop")] = "--cap-add"
"""


@refuses("ATT-SANDBOX")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (SHARE_NET, "network interfaces"),
        (SEE_OUTSIDE, "a file outside is seen"),
        (WRITABLE_INPUT, "/build/input can be written"),
        (OPEN_SWITCHES, "/proc/sys/kernel/core_pattern can be written"),
        (ALL_CALLS, "system calls are not filtered"),
        (KEEP_RIGHTS, "Cap(Inh|Prm|Eff|Amb) is 0"),
    ],
    ids=["network", "outside", "input", "switches", "calls", "rights"],
)
def test_a_room_that_is_not_tight_is_noticed(
    bubblewrap: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, says: str
) -> None:
    """The real bubblewrap, told one thing otherwise: what a broken one would do."""
    if change is SHARE_NET and len(socket.if_nameindex()) == 1:
        pytest.skip("this machine has no network interface but lo")
    if change in (KEEP_RIGHTS, OPEN_SWITCHES) and os.geteuid() != 0:
        pytest.skip("only root may add capabilities or owns the switches")
    folder = tmp_path / "outside"
    folder.mkdir()
    weak = tmp_path / "bwrap"
    filled = change.strip().format(folder=str(folder))
    weak.write_text(
        WEAK.format(python=sys.executable, bwrap=bubblewrap.program, change=filled), "utf-8"
    )
    weak.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    (tmp_path / "input").mkdir()
    found = Bubblewrap(str(weak), "0", bubblewrap.other_users, fixed_users=False)
    site = Site(found, take_inputs([tmp_path / "input"]), EPOCH)
    with pytest.raises(Trouble, match=says) as trouble:
        prove(site, ROOMS[0])
    assert trouble.value.rule == "ATT-SANDBOX"
    prove(Site(bubblewrap, site.inputs, EPOCH), ROOMS[0])
