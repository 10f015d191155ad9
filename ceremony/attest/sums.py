"""Checksum files: GNU (`hash  name`, `hash *name`), BSD tag and `sha256 -r` lines.

Decides which names have which digests, and which pins the comment lines `# name value`
and a line naming flake.lock give. Strict: LF only, a last newline, lower-case hex, UTF-8
names without control characters, no escaped names, each name once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ceremony.attest.record import Artifact, Claims, Pins
from ceremony.characters import is_printable
from ceremony.errors import refuse
from ceremony.show import escaped

RULE = "ATT-SUMS"
MOST_BYTES = 1 << 20
MOST_LINES = 10_000
MOST_COLUMNS = 4096
FLAKE_LOCK = "flake.lock"

_GNU = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_REVERSED = re.compile(r"([0-9a-f]{64}) ([^ *].*)")
_TAGGED = re.compile(r"(SHA256|SHA384|SHA512) \((.+)\) = ([0-9a-f]+)")
_PIN = re.compile(r"# ([a-z][a-z0-9_]*) ([!-~]+)")
_HEX_DIGITS = {"SHA256": 64, "SHA384": 96, "SHA512": 128}
# An untagged digest as long as SHA-512's may as well be BLAKE2b's.
_UNTAGGED = re.compile(r"([0-9a-f]{96}|[0-9a-f]{128}) .+")
# `sha256sum --tag` and FreeBSD's `sha256` write these alike; OpenBSD's releases hold SHA256.
_WHOLE_NAMES = ("SHA256", "SHA384", "SHA512", "SHA256SUMS", "SHA384SUMS", "SHA512SUMS")
_ENDINGS = tuple(
    f".{name}{ending}" for name in ("sha256", "sha384", "sha512") for ending in ("", "sum")
)
# What signs checksums and does not begin as a signature is none of them.
_SIGNATURES = (".asc", ".gpg", ".minisig", ".pgp", ".sig", ".sshsig")


def looks_like_sums(path: str) -> bool:
    """Say whether a file is named as checksum files are."""
    name = path.rpartition("/")[2]
    return not name.endswith(_SIGNATURES) and (
        name in _WHOLE_NAMES
        # FreeBSD's releases: CHECKSUM.SHA256-FreeBSD-14.1-RELEASE-amd64
        or name.startswith("CHECKSUM.SHA")
        or "SHA256SUMS" in name
        or name.endswith(_ENDINGS)
    )


def read_sums(data: bytes) -> Claims:
    """Read a checksum file; Refused (ATT-SUMS, ATT-TWICE, ATT-PIN) names the line."""
    pins = Pins()
    named: dict[str, dict[str, str]] = {}
    for number, line in enumerate(_lines(data), 1):
        if line.startswith("#"):
            pin = _PIN.fullmatch(line)
            if pin:
                pins.add(pin[1], pin[2])
            continue
        algorithm, name, digest = _entry(number, line)
        digests = named.setdefault(name, {})
        if algorithm in digests:
            raise refuse("ATT-TWICE", f"line {number} names {escaped(name)} again")
        digests[algorithm] = digest
        if algorithm == "sha256" and name.rpartition("/")[2] == FLAKE_LOCK:
            pins.add("flake_lock", digest)
    artifacts = tuple(
        Artifact(name, tuple(sorted(digests.items()))) for name, digests in sorted(named.items())
    )
    return pins.claims(artifacts)


def _lines(data: bytes) -> Iterable[str]:
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the file has more than {MOST_BYTES} bytes")
    if not data.endswith(b"\n"):
        raise refuse(RULE, "the file does not end with a newline")
    try:
        lines = data.decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise refuse(RULE, "the file is not UTF-8", error.start) from None
    if len(lines) > MOST_LINES:
        raise refuse(RULE, f"the file has more than {MOST_LINES} lines")
    if len(data) <= MOST_COLUMNS and is_printable("".join(lines)):
        return lines
    return _checked(lines)


def _checked(lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_COLUMNS:
            raise refuse(RULE, f"line {number} is longer than {MOST_COLUMNS} characters")
        if not is_printable(line):
            raise refuse(RULE, f"line {number} has a control or invisible character")
        yield line


def _entry(number: int, line: str) -> tuple[str, str, str]:
    plain = _GNU.fullmatch(line)
    if plain is not None:
        return "sha256", plain[2], plain[1]
    if line.startswith("\\"):
        raise refuse(RULE, f"line {number} has an escaped name")
    tagged = _TAGGED.fullmatch(line)
    if tagged:
        if len(tagged[3]) != _HEX_DIGITS[tagged[1]]:
            raise refuse(RULE, f"line {number} has a {tagged[1]} digest of {len(tagged[3])} digits")
        return tagged[1].lower(), tagged[2], tagged[3]
    plain = _REVERSED.fullmatch(line)
    if plain is None:
        if _UNTAGGED.fullmatch(line):
            text = "has a digest that only a tag would name: write SHA512 (FILE) = ..., with --tag"
            raise refuse(RULE, f"line {number} {text}")
        raise refuse(RULE, f"line {number} is no checksum line: {escaped(line, 60)}")
    return "sha256", plain[2], plain[1]
