"""What a FreeBSD builder says of its jail: `jail-metadata.txt`, as a builder's evidence.

    path=/jails/build ip4=disable ip6=disable persist       as `jls -n` writes, or
    ip4 = disable;                                          as in jail.conf, without blocks
    /toolchain /jails/build/toolchain nullfs ro 0 0         as `mount -p` writes

Decides whether it shows a jail without network whose only writable mounts are output and
scratch, and whether the builder's signed checksums cover it. It is the builder's own word:
it shows that the set-up was meant so. Sources: jail(8), jls(8), fstab(5).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ceremony.attest.record import Claims
from ceremony.characters import is_printable
from ceremony.errors import Refused, refuse
from ceremony.show import escaped
from ceremony.types import Finding, MediaFile, Severity

RULE = "ATT-JAIL"
METADATA = "jail-metadata.txt"
MOST_BYTES = 1 << 16
MOST_LINES = 1024
MOST_COLUMNS = 4096
FSTAB_FIELDS = 6
WRITABLE = ("/output", "/tmp")  # noqa: S108 - a path inside the jail
# Devices cannot be written like files; a jail has /dev by a ruleset of its own.
DEVICES = ("devfs", "/dev")
NETWORK = ("ip4", "ip6")
OFF = ("0", "false")
INHERITED = ("inherit", "disable")

_PARAMETER = re.compile(r'([a-z][a-z0-9_.]{0,63})(?:=("[^"]*"|[^ "]*))?')
_FIELD = re.compile(r"[^ ]+")
_DIGITS = re.compile(r"[0-9]+")
_ASSIGNED = re.compile(r" *\+?= *")
_WORD = re.compile(r'(?:[^ "]|"[^"]*")+')


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system; `target` is as seen from inside the jail."""

    source: str
    target: str
    kind: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Jail:
    """The parameters by name ("" for one without value) and the mounts, in file order."""

    parameters: tuple[tuple[str, str], ...]
    mounts: tuple[Mount, ...]


def jail_findings(claims: Claims, files: tuple[MediaFile, ...]) -> tuple[Finding, ...]:
    """Return why these signed claims do not show a closed jail; nothing where they do.

    `files` are all files on the media: the metadata is found by its signed digest.
    """
    signed = {
        artifact.digest("sha256")
        for artifact in claims.artifacts
        if artifact.name.rpartition("/")[2] == METADATA
    }
    if len(signed) != 1 or "" in signed:
        which = "several" if signed else "no"
        return (_finding(f"the signed checksums name {which} {METADATA}"),)
    for file in files:
        if file.path.rpartition("/")[2] != METADATA or len(file.data) > MOST_BYTES:
            continue
        if hashlib.sha256(file.data).hexdigest() in signed:
            try:
                return tuple(_finding(fault) for fault in jail_faults(read_jail(file.data)))
            except Refused as error:
                return error.findings
    return (_finding(f"the {METADATA} that is signed for is not here"),)


def read_jail(data: bytes) -> Jail:
    """Read the metadata strictly; Refused (ATT-JAIL) names the line."""
    parameters: dict[str, str] = {}
    rows: list[list[str]] = []
    for number, line in _lines(data):
        if not line or line.startswith("#"):
            continue
        fields = _FIELD.findall(line.removeprefix("mount=").strip('"'))
        if len(fields) == FSTAB_FIELDS and all(map(_DIGITS.fullmatch, fields[-2:])):
            rows.append(fields)
            continue
        for word in _WORD.findall(line):
            found = _PARAMETER.fullmatch(word)
            if found is None:
                raise refuse(RULE, f"line {number} is neither parameters nor a mount")
            value = (found[2] or "").strip('"')
            if parameters.setdefault(found[1], value) != value:
                raise refuse(RULE, f"line {number} says {escaped(found[1])} with another value")
    root = parameters.get("path", "").rstrip("/")
    return Jail(tuple(sorted(parameters.items())), tuple(_mount(row, root) for row in rows))


def jail_faults(jail: Jail) -> Iterator[str]:
    """Yield what keeps a jail from being closed: network, own mounts, writable mounts."""
    parameters = dict(jail.parameters)
    for name in NETWORK:
        if parameters.get(name) != "disable":
            said = f"{name}={parameters[name]}" if name in parameters else f"no {name}"
            yield f"it says {escaped(said)}, not {name}=disable"
        if parameters.get(f"{name}.addr"):
            yield f"it gives the jail an address, {name}.addr"
    if parameters.get("vnet", "inherit") not in INHERITED:
        yield "it gives the jail a network stack of its own (vnet)"
    if parameters.get("allow.mount", "0") not in OFF:
        yield "it lets the jail mount file systems itself (allow.mount)"
    if not jail.mounts:
        yield "it lists no mounts"
    for mount in jail.mounts:
        devices = (mount.kind, mount.target) == DEVICES
        if not mount.read_only and not devices and mount.target not in WRITABLE:
            yield f"{escaped(mount.target)} is mounted writable"


def _mount(fields: list[str], root: str) -> Mount:
    source, target, kind, options = fields[:4]
    if not target.startswith("/") or ".." in target.split("/"):
        raise refuse(RULE, f"{escaped(target)} is no absolute path to mount at")
    if root and (target == root or target.startswith(root + "/")):
        target = target.removeprefix(root) or "/"
    said = options.split(",")
    if "ro" in said and "rw" in said:
        raise refuse(RULE, f"{escaped(target)} is mounted ro and rw at once")
    return Mount(source, target.rstrip("/") or "/", kind, "ro" in said)


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the metadata has more than {MOST_BYTES} bytes")
    if not data.endswith(b"\n"):
        raise refuse(RULE, "the metadata does not end with a newline")
    try:
        lines = data.decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise refuse(RULE, "the metadata is not UTF-8", error.start) from None
    if len(lines) > MOST_LINES:
        raise refuse(RULE, f"the metadata has more than {MOST_LINES} lines")
    for number, line in enumerate(lines, 1):
        plain = line.replace("\t", " ")
        if len(plain) > MOST_COLUMNS or not is_printable(plain):
            raise refuse(RULE, f"line {number} is too long or has a control character")
        plain = plain.strip(" ")
        yield number, _ASSIGNED.sub("=", plain[:-1], count=1) if plain.endswith(";") else plain


def _finding(text: str) -> Finding:
    return Finding(RULE, Severity.REFUSE, text)
