"""Read the machine binding: which PKCS#11 module this machine uses, and what it needs.

Decides what may stand in the one file that differs from machine to machine and is not
reviewed: a module by absolute path, environment variables and a text for it, time limits, a
sandbox, and what the machine is for: the one policy that it signs under, or rehearsals. It
refuses to know tokens and keys. Nothing in it can weaken a check.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path

from ceremony.errors import refuse
from ceremony.show import escaped
from hsm.sandbox import Sandbox

BINDING_MOST_BYTES = 16 * 1024
KEYS = (
    *("module", "policy_sha256", "rehearsal"),
    *("init_args", "environment", "limits", "sandbox"),
)
ENVIRONMENT_MOST = 32
WRITABLE_MOST = 8
LIMIT_MOST_SECONDS = 600
INIT_ARGS_MOST = 1024

_SHA256 = re.compile(r"[0-9a-f]{64}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
# The dynamic loader's, Python's and OpenSSL's own variables would run other code than was named:
# a configuration of OpenSSL names providers and engines that it loads (config(5)).
_DANGEROUS = re.compile(r"(LD|DYLD|PYTHON|OPENSSL)_?.*|PATH|IFS|GCONV_PATH|GLIBC_TUNABLES")

_SOFTHSM = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each kind of call may take, in seconds, before its process is ended.

    `reader` is for a PIN typed on the token's own reader.
    """

    start: float = 20.0
    probe: float = 30.0
    login: float = 60.0
    reader: float = 180.0
    sign: float = 60.0


@dataclass(frozen=True, slots=True)
class Binding:
    """One machine's module, the environment its process gets (nothing else), and limits.

    `init_args` is the text that a few modules want with C_Initialize, "" for all others.
    `policy_sha256` is the one policy that is signed under here, "" where none is pinned: in
    ceremonies rehearsals alone are signed then.
    """

    module: Path
    environment: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)
    sandbox: Sandbox | None = None
    policy_sha256: str = ""
    init_args: str = ""
    rehearsal: bool = False


def read_binding(data: bytes) -> Binding:
    """Read a ceremony's binding file, or raise Refused KEY-BINDING.

    It says which of the two it is for: the policy that it pins, or rehearsals.
    """
    binding = read_outside(data)
    if not binding.policy_sha256 and not binding.rehearsal:
        pin = 'policy_sha256 = "...", the line that `uki-ceremony policy show FILE` prints'
        text = f"the binding does not say what it is for: {pin}, or rehearsal = true"
        raise refuse("KEY-BINDING", text)
    return binding


def read_outside(data: bytes) -> Binding:
    """Read a binding file for a command outside of ceremonies, or raise Refused KEY-BINDING.

    It may leave open what it is for: tokens are looked at, and keys made, before there is a
    policy.
    """
    if len(data) > BINDING_MOST_BYTES:
        raise refuse("KEY-BINDING", f"the binding is over {BINDING_MOST_BYTES} bytes")
    try:
        read = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise refuse("KEY-BINDING", f"not TOML: {escaped(str(error))}") from None
    for name in read:
        if name not in KEYS:
            raise refuse("KEY-BINDING", f"unknown key {escaped(name)}")
    binding = Binding(
        _module(read.get("module")),
        _environment(read.get("environment", {})),
        _limits(read.get("limits", {})),
        _sandbox(read["sandbox"]) if "sandbox" in read else None,
        _pin(read.get("policy_sha256")),
        _init_args(read.get("init_args", "")),
        _rehearsal(read.get("rehearsal")),
    )
    if binding.policy_sha256 and binding.rehearsal:
        text = "policy_sha256 and rehearsal = true exclude each other: take one out"
        raise refuse("KEY-BINDING", text)
    return binding


def _module(value: object) -> Path:
    if not isinstance(value, str) or "\0" in value or not value.startswith("/"):
        raise refuse("KEY-BINDING", "module must be an absolute path")
    return Path(value)


def _environment(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or len(value) > ENVIRONMENT_MOST:
        raise refuse("KEY-BINDING", f"environment is a table of at most {ENVIRONMENT_MOST} texts")
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name) or _DANGEROUS.fullmatch(name):
            raise refuse("KEY-BINDING", f"environment variable {escaped(name)} is not allowed")
        if not isinstance(text, str) or "\0" in text:
            raise refuse("KEY-BINDING", f"environment variable {escaped(name)} must be text")
    return tuple(sorted(value.items()))


def _limits(value: object) -> Limits:
    if not isinstance(value, dict):
        raise refuse("KEY-BINDING", "limits is a table of seconds")
    known = {one.name for one in fields(Limits)}
    seconds: dict[str, float] = {}
    for name, given in value.items():
        if name not in known:
            raise refuse("KEY-BINDING", f"unknown limit {escaped(name)}")
        # bool is an int to Python, not to a reader of the file; nan fails both comparisons.
        number = isinstance(given, int | float) and not isinstance(given, bool)
        if not number or not 0 < given <= LIMIT_MOST_SECONDS:
            raise refuse("KEY-BINDING", f"limit {name} is over 0 to {LIMIT_MOST_SECONDS} seconds")
        seconds[name] = float(given)
    return Limits(**seconds)


def _sandbox(value: object) -> Sandbox:
    if not isinstance(value, dict):
        raise refuse("KEY-BINDING", "sandbox is a table")
    for name in value:
        if name not in ("network", "writable"):
            raise refuse("KEY-BINDING", f"unknown key sandbox.{escaped(name)}")
    network, writable = value.get("network", False), value.get("writable", [])
    if not isinstance(network, bool):
        raise refuse("KEY-BINDING", "sandbox.network is true or false")
    if not isinstance(writable, list) or len(writable) > WRITABLE_MOST:
        raise refuse("KEY-BINDING", f"sandbox.writable is a list of at most {WRITABLE_MOST} paths")
    for path in writable:
        absolute = isinstance(path, str) and path.startswith("/") and "\0" not in path
        if not absolute or os.path.normpath(path) in ("/", "//"):
            raise refuse("KEY-BINDING", "sandbox.writable holds absolute paths, and never /")
    return Sandbox(network, tuple(Path(path) for path in writable))


def _pin(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise refuse("KEY-BINDING", "policy_sha256 is 64 lower-case hex digits")
    return value


def _rehearsal(value: object) -> bool:
    """Read the one word that is said; false would be a second spelling of saying nothing."""
    if value is None:
        return False
    if value is not True:
        raise refuse("KEY-BINDING", "rehearsal is true, or is left out")
    return True


def _init_args(value: object) -> str:
    if not isinstance(value, str) or "\0" in value or len(value) > INIT_ARGS_MOST:
        raise refuse("KEY-BINDING", f"init_args is a text of at most {INIT_ARGS_MOST} characters")
    return value


def find_module() -> Path | None:
    """Return SoftHSM's module where a distribution is known to put it, None if it is absent."""
    return next((path for name in _SOFTHSM if (path := Path(name)).is_file()), None)
