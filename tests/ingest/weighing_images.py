"""Run as a program: a command of the tool in this process, then the peak of its memory in KiB.

VmHWM and not ru_maxrss: that one remembers the size of the process that forked.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tui.entry import start

status = start(sys.argv[1:])
lines = Path("/proc/self/status").read_text("ascii").splitlines()
(peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
print(int(status), peak)  # noqa: T201 - what it is run for
