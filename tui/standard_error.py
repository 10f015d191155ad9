"""Words on standard error, which decide nothing: where nobody can read them, the work stands.

A pipe that is no longer read or a full disk behind it must not turn a signed image into a
failure, nor a refusal into another exit status.
"""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Write text; after the first failure nothing more is tried."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        # The interpreter would try again at its end, say so in its own words and exit with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
