"""What a sandbox keeps from a module that does not start or finds no token, and how to grant it.

Decides from the binding alone which paths and addresses its module was told, by a variable, by
`init_args` or in a configuration that a variable names, and which of them the sandbox hides.
A likely cause, not a proof: the module says no more than a code. Refuses to change a binding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from ceremony.show import escaped
from hsm.binding import Binding
from hsm.sandbox import Sandbox, hidden_folders

CONFIGURATION_MOST_BYTES = 64 * 1024
TOLD_MOST = 4
PATHS_MOST = 256  # that are looked at in one text
# A path inside a longer value too, as in sql:/var/lib/nss and unix:path=/tmp/sock.
_PATH = re.compile(r"(?<![\w.])/[^\s'\"=:;,#]+")
_ADDRESS = re.compile(r"\b(?:host|port)=|://[^/\s]")


def explained(
    op: str, rule: str, text: str, binding: Binding, needed: tuple[Path, ...] = ()
) -> tuple[str, str]:
    """Return rule and text of a module's no; KEY-SANDBOX where the sandbox is likely its cause.

    `needed` is what the process sees in any sandbox. Without one nothing is added. Where a key
    was to be made the rule stays, since a PIN stood behind it.
    """
    sandbox = binding.sandbox
    writes = op == "make"
    concerned = rule in ("KEY-MODULE", "KEY-TOKEN") or (writes and rule == "KEY-REFUSED")
    if sandbox is None or not concerned:
        return rule, text
    seen = (*needed, *sandbox.writable)
    kept = [
        (path, source)
        for path, source in dict(_told(binding)).items()
        if _hidden(path, seen) or (writes and path.is_dir() and not _within(path, sandbox.writable))
    ]
    address = "" if sandbox.network else _addressed(binding)
    said = (text if text.endswith("?") else f"{text}.", _sight(sandbox, seen))
    return (
        "KEY-SANDBOX" if (kept or address) and not writes else rule,
        " ".join((*said, *_causes(sandbox, kept[:TOLD_MOST], address))),
    )


def _sight(sandbox: Sandbox, seen: tuple[Path, ...]) -> str:
    """Return which sandbox it is, and what it shows."""
    inside = (path for path in seen if _hidden(path, ()))
    return (
        f"In the binding's [sandbox] ({sandbox.described}) the module sees all but"
        f" {', '.join(hidden_folders())}, of these {_listed(inside)}, and writes to"
        f" {_listed(sandbox.writable)}."
    )


def _causes(sandbox: Sandbox, kept: list[tuple[Path, str]], address: str) -> Iterator[str]:
    """Yield what it was told of and lacks, and the key of the binding that grants it."""
    if kept:
        named = ", ".join(f"{escaped(str(path))} ({source})" for path, source in kept)
        granted = [*(str(path) for path in sandbox.writable), *_folders(path for path, _ in kept)]
        yield f"From it are kept {named}: write under [sandbox] writable = {json.dumps(granted)}."
    if address:
        yield f"From it is kept the network for {address}: write under [sandbox] network = true."
    if not kept and not address:
        yield "If its token or settings lie there, name their folder in sandbox.writable."


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(escaped(str(path)) for path in dict.fromkeys(paths)) or "nothing"


def _told(binding: Binding) -> Iterator[tuple[Path, str]]:
    """Yield every path that is there and that the module was told of, and by what."""
    for name, value in _values(binding):
        for path in _paths(value):
            yield path, name
            if path.is_file():
                shown = escaped(str(path))
                yield from ((inner, shown) for inner in _paths(_configuration(path)))


def _values(binding: Binding) -> tuple[tuple[str, str], ...]:
    return (*binding.environment, ("init_args", binding.init_args))


def _paths(text: str) -> list[Path]:
    found = islice(_PATH.finditer(text), PATHS_MOST)
    return [path for one in found if _there(path := Path(one.group()))]


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _configuration(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(CONFIGURATION_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _hidden(path: Path, shown: Iterable[Path]) -> bool:
    folders = tuple(Path(folder) for folder in hidden_folders())
    return _within(path.resolve(), folders) and not _within(path, shown)


def _within(path: Path, folders: Iterable[Path]) -> bool:
    real = path.resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in folders)


def _folders(paths: Iterable[Path]) -> list[str]:
    """Return the folders to grant; a file right below a hidden folder is granted alone."""
    hidden = hidden_folders()
    wanted = {
        path if path.is_dir() or str(path.parent) in hidden else path.parent for path in paths
    }
    outer = [one for one in wanted if not any(one != o and one.is_relative_to(o) for o in wanted)]
    return sorted(str(path) for path in outer)


def _addressed(binding: Binding) -> str:
    return next((name for name, value in _values(binding) if _ADDRESS.search(value)), "")
