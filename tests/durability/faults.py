"""Every sort of fault, by name, and the lanes they are walked in."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from durability.boundary import ROOT, Effect, Operation
from durability.walking import Fault, Walk

from ceremony.bundle import TRANSCRIPT

Act = Callable[[Walk, Operation, Effect], Any]


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _changes(operation: Operation) -> bool:
    return operation.kind not in ("open to read", "end")


def _always(_: Operation) -> bool:
    return True


def _acts(operation: Operation) -> bool:
    return operation.kind != "end"


def _writes(operation: Operation) -> bool:
    return operation.kind == "write" and len(operation.data) > 1


def _syncs(operation: Operation) -> bool:
    return operation.kind == "fsync"


def _killed_before(_walk: Walk, _operation: Operation, _effect: Effect) -> None:
    _die()


def _killed_after(_walk: Walk, operation: Operation, effect: Effect) -> None:
    try:
        effect(operation.data)
    finally:  # also after a call that says there is nothing to remove
        _die()


def _torn(_walk: Walk, operation: Operation, effect: Effect) -> None:
    effect(operation.data[: len(operation.data) // 2])
    _die()


def _without_its_end(_walk: Walk, operation: Operation, effect: Effect) -> None:
    effect(operation.data[:-1])
    _die()


def _out_of_order(_walk: Walk, operation: Operation, effect: Effect) -> None:
    half = len(operation.data) // 2
    effect(bytes(half) + operation.data[half:])
    _die()


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _once(number: int) -> Act:
    def act(_walk: Walk, _operation: Operation, _effect: Effect) -> None:
        raise _error(number)

    return act


def _until_mended(number: int) -> Act:
    def act(walk: Walk, operation: Operation, _effect: Effect) -> None:
        medium = operation.medium

        def standing(later: Operation) -> None:
            if later.medium == medium:
                raise _error(number)

        walk.stand(standing)
        raise _error(number)

    return act


def _short(_walk: Walk, operation: Operation, effect: Effect) -> Any:  # noqa: ANN401
    return effect(operation.data[: len(operation.data) // 3 + 1])


def _filled(walk: Walk, operation: Operation, effect: Effect) -> Any:  # noqa: ANN401
    medium = operation.medium

    def full(later: Operation) -> None:
        if later.medium == medium and later.kind in ("write", "open", "mkdir"):
            raise _error(errno.ENOSPC)

    walk.stand(full)
    return effect(operation.data[: len(operation.data) // 2])


def _sync_loses(walk: Walk, operation: Operation, _effect: Effect) -> None:
    """Fail as Linux does: the bytes are gone, the size stays, and no later fsync says so."""
    with Path(operation.path).open("r+b") as file:
        lost = file.seek(0, os.SEEK_END) - walk.synced
        file.seek(walk.synced)
        file.write(bytes(max(0, lost)))
    raise _error(errno.EIO)


def _pulled(*media: str) -> Act:
    def act(_walk: Walk, operation: Operation, effect: Effect) -> Any:  # noqa: ANN401
        for medium in media:
            Path(ROOT, medium).rename(Path(ROOT, f"pulled-{medium}"))
        return effect(operation.data)

    return act


def _put_back(*media: str) -> Callable[[Path], None]:
    def mend(case: Path) -> None:
        for medium in media:
            shutil.rmtree(case / ROOT / medium, ignore_errors=True)
            (case / ROOT / f"pulled-{medium}").rename(case / ROOT / medium)

    return mend


def _replaced(medium: str) -> Callable[[Path], None]:
    def mend(case: Path) -> None:
        shutil.rmtree(case / ROOT / f"pulled-{medium}")

    return mend


def _there(medium: str) -> Callable[[Operation], bool]:
    """Meet what happens when the medium is in use: before, people name another one."""
    used = Path(ROOT, medium if medium == "out" else f"{medium}/{TRANSCRIPT}")
    return lambda operation: operation.kind != "end" and used.exists()


ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)

KILLED = (
    Fault("kill -9 before the operation", _changes, _killed_before, dies=True),
    Fault("kill -9 after the operation", _changes, _killed_after, dies=True),
    Fault("kill -9 in a write: the first half", _writes, _torn, dies=True),
    Fault("kill -9 in a write: all but the last byte", _writes, _without_its_end, dies=True),
)
POWER = (
    Fault("power loss: names not synced are lost", _always, names=True),
    Fault("power loss: bytes not synced are lost", _always, data=True),
    Fault("power loss: both are lost", _always, names=True, data=True),
    Fault("power loss in a write: pages out of order", _writes, _out_of_order, dies=True),
)
FAILING = (
    *(Fault(f"{errno.errorcode[n]} once", _acts, _once(n)) for n in ERRORS),
    *(
        Fault(f"{errno.errorcode[n]} until mended", _acts, _until_mended(n))
        for n in (*ERRORS, errno.ENODEV)
    ),
    Fault("a short write", _writes, _short),
    Fault("half a write, then ENOSPC until mended", _writes, _filled),
    Fault("EIO at an fsync, and the bytes are lost", _syncs, _sync_loses),
)
PULLED = (
    *(
        Fault(f"{m} pulled, put back", _there(m), _pulled(m), mend=_put_back(m))
        for m in ("log-a", "log-b", "out")
    ),
    *(
        Fault(f"{m} pulled, replaced", _there(m), _pulled(m), mend=_replaced(m))
        for m in ("log-a", "log-b", "out")
    ),
    Fault(
        "both logs pulled, put back",
        _there("log-b"),
        _pulled("log-a", "log-b"),
        mend=_put_back("log-a", "log-b"),
    ),
)
LANES = {
    "killed and power": (*KILLED[:3], *POWER[:3]),
    "failing": FAILING,
    "pulled": PULLED,
    "killed, all": KILLED,
    "power, all": POWER,
    "failing, all": FAILING,
    "pulled, all": PULLED,
}
