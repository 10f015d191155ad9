"""The sentinel test of a clean room, made in it before every build.

Decides from what a shell finds inside: a file made outside just now is not seen, nor are keys;
the only network interface is `lo`; the root, the programs, the kernel's switches and every
input refuse to be written; calls are filtered and no capability is left. Any other answer is
ATT-SANDBOX. Refuses to know what will be built.
"""

from __future__ import annotations

import tempfile

from ceremony.errors import Trouble
from ceremony.show import escaped
from tui.building.sandbox import PROBE_SECONDS, Room, Site

RULE = "ATT-SANDBOX"
MOST_SAID = 1 << 16
SCRIPT = """
sentinel=$1; shift
[ -e "$sentinel" ] && echo "fault: a file outside is seen"
[ "$(cat /proc/keys /proc/key-users 2>/dev/null | wc -c)" -eq 0 ] || echo "fault: keys are seen"
for path in / /usr /dev /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname "$@"; do
    if [ -d "$path" ]; then at="$path/.uki-ceremony-probe"; else at=$path; fi
    ( : >>"$at" ) 2>/dev/null && echo "fault: $path can be written"
done
while read -r name value rest; do
    case $name in Cap*|NoNewPrivs:|Seccomp:) echo "status $name $value";; esac
done </proc/self/status
while read -r name rest; do
    case $name in *:*) echo "interface ${name%%:*}";; esac
done </proc/net/dev
( : >/build/.uki-ceremony-probe ) 2>/dev/null || echo "fault: /build cannot be written"
echo end
"""
_NO_RIGHTS = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def prove(site: Site, room: Room) -> None:
    """ATT-SANDBOX: the room is tight, as found out inside one like it."""
    paths = tuple(each.path for each in site.inputs)
    with tempfile.NamedTemporaryFile(prefix="uki-ceremony-sentinel-") as sentinel:
        command = ("/bin/sh", "-c", SCRIPT, "sh", sentinel.name, *paths)
        with tempfile.TemporaryFile() as output:
            site.run(room, command, output, MOST_SAID, PROBE_SECONDS)
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
    lines = said.splitlines()
    if lines[-1:] != ["end"]:
        text = f"no room {room.host} could be made; bubblewrap says why above"
        raise Trouble(RULE, text)
    for fault in _faults(lines):
        raise Trouble(RULE, f"the room {room.host} is not tight: {escaped(fault)}")


def _faults(lines: list[str]) -> list[str]:
    faults = [line.removeprefix("fault: ") for line in lines if line.startswith("fault: ")]
    status = dict(
        line.removeprefix("status ").split(": ", 1) for line in lines if line.startswith("status ")
    )
    faults += [f"{name} is {status.get(name)}" for name in _NO_RIGHTS if _rights(status, name)]
    if status.get("NoNewPrivs") != "1":
        faults.append("new privileges can be had")
    if status.get("Seccomp") != "2":
        faults.append("system calls are not filtered")
    interfaces = [line.removeprefix("interface ") for line in lines if line.startswith("interf")]
    if interfaces not in ([], ["lo"]):
        faults.append(f"the network interfaces are {', '.join(interfaces)}")
    return faults


def _rights(status: dict[str, str], name: str) -> bool:
    return status.get(name, "?").strip("0") != ""
