"""The subcommands of uki-ceremony, one file each: `arguments` declares, `run` acts.

Exit status everywhere: 0 yes, 1 refused (rule ids named), 2 usage, 3 could not be done,
4 incomplete or aborted.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses."""

    YES = 0
    REFUSED = 1
    USAGE = 2
    TROUBLE = 3
    INCOMPLETE = 4
