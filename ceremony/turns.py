"""How pieces of work that do not depend on each other are done: here, in turn.

Digests of one image are such pieces. The rules refuse to know threads; whoever has some gives
a runner of the same shape, and nothing that is concluded depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

Work: TypeAlias = Callable[[], object]
Runner: TypeAlias = Callable[[Sequence[Work]], None]


def in_turn(works: Sequence[Work]) -> None:
    """Do one work after the other."""
    for work in works:
        work()
