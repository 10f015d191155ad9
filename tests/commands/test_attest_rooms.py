"""The rooms of attest --twice, seen from inside: the sentinel test of a jail."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from commands.builder_desk import tool
from marks import accepts, refuses

from ceremony.errors import Trouble
from tui.building.proof import prove
from tui.building.sandbox import ROOMS, Bubblewrap, Input, Site
from tui.building.twice import take_inputs

EPOCH = 1700000000


def inside(bubblewrap: Bubblewrap, script: str, *inputs: Input, room: int = 0) -> str:
    with tempfile.TemporaryFile() as output:
        command_line = ("/bin/sh", "-c", f"exec 2>&1; {script}")
        Site(bubblewrap, inputs, EPOCH).run(ROOMS[room], command_line, output, 60)
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
        (KEEP_RIGHTS, "Cap(Inh|Prm|Eff|Amb) is 0"),
    ],
    ids=["network", "outside", "input", "rights"],
)
def test_a_room_that_is_not_tight_is_noticed(
    bubblewrap: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, says: str
) -> None:
    """The real bubblewrap, told one thing otherwise: what a broken one would do."""
    if change is SHARE_NET and len(socket.if_nameindex()) == 1:
        pytest.skip("this machine has no network interface but lo")
    if change is KEEP_RIGHTS and os.geteuid() != 0:
        pytest.skip("only root may add capabilities to a sandbox")
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
