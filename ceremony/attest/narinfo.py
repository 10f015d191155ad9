"""Nix's .narinfo: what a binary cache says of one store path, and the text its keys sign.

    fingerprint = 1;<StorePath>;<NarHash>;<NarSize>;<references, whole paths, commas between>

Decides whether a file is such a description, strictly, and whether a signature in it fits.
Deriver, FileHash, CA and all else are signed by nobody and prove nothing. Refuses to know
the archive: attested_nar.py compares. Source: Nix's manual, "narinfo Format", path-info.cc.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ceremony.attest.nix_key import SIGNATURE_BYTES, read_named
from ceremony.characters import is_printable
from ceremony.errors import refuse
from ceremony.keys import PublicKey, Scheme
from ceremony.show import escaped

RULE = "ATT-NARINFO"
MOST_BYTES = 1 << 18
MOST_LINES = 128
MOST_SIGNATURES = 16
MOST_REFERENCES = 4096
STORE = "/nix/store/"
DIGITS = "0123456789abcdfghijklmnpqrsvwxyz"
UNPACKED = "none"
UNSAID = "unsaid"  # the signed text names no file

_REQUIRED = ("StorePath", "URL", "NarHash", "NarSize", "References")
_KNOWN = (*_REQUIRED, "Compression", "FileHash", "FileSize", "Deriver", "System", "CA", "Sig")
_BASE_NAME = re.compile(rf"[{DIGITS}]{{32}}-[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]{{0,210}}")
_HASH = re.compile(rf"sha256:([{DIGITS}]{{52}})")
_SIZE = re.compile(r"[1-9][0-9]{0,17}")
_LINE = re.compile(r"([A-Za-z]+): ?(.*)")


@dataclass(frozen=True, slots=True)
class NarInfo:
    """A parsed narinfo; `nar_sha256` is hex, `references` base names in the order signed."""

    store_path: str
    url: str
    compression: str
    nar_hash: str
    nar_sha256: str
    nar_size: int
    references: tuple[str, ...]
    content_addressed: bool
    signatures: tuple[tuple[str, bytes], ...]

    @property
    def name(self) -> str:
        """Return the store path's own name, behind its hash."""
        return self.store_path.removeprefix(STORE)[33:]

    @property
    def fingerprint(self) -> bytes:
        """Return the text that is signed."""
        whole = ",".join(STORE + name for name in self.references)
        return f"1;{self.store_path};{self.nar_hash};{self.nar_size};{whole}".encode()


def looks_like_narinfo(path: str, data: bytes) -> bool:
    """Say whether a file is named as a narinfo is, or begins as Nix writes one."""
    return path.endswith(".narinfo") or data.startswith(b"StorePath: ")


def read_narinfo(data: bytes) -> NarInfo:
    """Read a narinfo strictly; Refused (ATT-NARINFO) says what is wrong."""
    fields, signatures = _fields(data)
    for name in _REQUIRED:
        if name not in fields:
            raise refuse(RULE, f"the line {name} is missing")
    return _info(fields, signatures)


def _info(fields: dict[str, str], signatures: tuple[tuple[str, bytes], ...]) -> NarInfo:
    store_path = fields["StorePath"]
    if not store_path.startswith(STORE) or not _is_base_name(store_path.removeprefix(STORE)):
        raise refuse(RULE, f"{escaped(store_path)} is no path in {STORE}")
    found = _HASH.fullmatch(fields["NarHash"])
    if found is None:
        raise refuse(RULE, "NarHash is not sha256 in Nix's base 32")
    if not _SIZE.fullmatch(fields["NarSize"]):
        raise refuse(RULE, "NarSize is no plain number of bytes")
    return NarInfo(
        store_path=store_path,
        url=_url(fields["URL"]),
        # Nix took a missing line for bzip2 from the beginning.
        compression=fields.get("Compression", "bzip2"),
        nar_hash=fields["NarHash"],
        nar_sha256=from_base32(found[1]).hex(),
        nar_size=int(fields["NarSize"]),
        references=_references(fields["References"]),
        content_addressed="CA" in fields,
        signatures=signatures,
    )


def read_fingerprint(data: bytes, *, content_addressed: bool) -> NarInfo:
    """Read a signed text strictly; what stands in a narinfo besides it is left out.

    `content_addressed` is what the file said, for nobody signs it.
    """
    try:
        version, store_path, nar_hash, size, whole = data.decode("ascii").split(";")
    except ValueError:
        raise refuse(RULE, "what was signed is no narinfo's fingerprint") from None
    prefixed = whole.split(",") if whole else []
    if version != "1" or not all(name.startswith(STORE) for name in prefixed):
        raise refuse(RULE, "what was signed is no narinfo's fingerprint")
    fields = {
        "StorePath": store_path,
        "URL": UNSAID,
        "NarHash": nar_hash,
        "NarSize": size,
        "References": " ".join(name.removeprefix(STORE) for name in prefixed),
    }
    info = _info(fields | ({"CA": ""} if content_addressed else {}), ())
    if info.fingerprint != data:  # its references are not sorted
        raise refuse(RULE, "what was signed is no narinfo's fingerprint")
    return info


def verify_narinfo(info: NarInfo, signature: bytes, key: PublicKey) -> None:
    """Refuse (ATT-SIGNATURE) unless `signature` over the fingerprint is this key's."""
    key.verify(signature, info.fingerprint, Scheme.ED25519)


def from_base32(text: str) -> bytes:
    """Return the 32 bytes of 52 of Nix's digits: five bits each, the last digit's come first."""
    number = 0
    for digit in text:
        number = number << 5 | DIGITS.index(digit)
    if number >> 256:
        raise refuse(RULE, "the hash has more than 256 bits")
    return number.to_bytes(32, "little")


def to_base32(digest: bytes) -> str:
    """Return 52 of Nix's digits for 32 bytes."""
    number = int.from_bytes(digest, "little")
    return "".join(DIGITS[number >> (5 * place) & 31] for place in range(51, -1, -1))


def _fields(data: bytes) -> tuple[dict[str, str], tuple[tuple[str, bytes], ...]]:
    fields: dict[str, str] = {}
    signatures: list[tuple[str, bytes]] = []
    for number, line in enumerate(_lines(data), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise refuse(RULE, f"line {number} is not a name, a colon and a value")
        name, value = found[1], found[2]
        if name not in _KNOWN:
            raise refuse(RULE, f"line {number} says {escaped(name, 40)}, which is not known here")
        if name == "Sig":
            signatures.append(_signature(value))
        elif fields.setdefault(name, value) is not value:
            raise refuse(RULE, f"line {number} says {name} again")
    if len(signatures) > MOST_SIGNATURES:
        raise refuse(RULE, f"more than {MOST_SIGNATURES} signatures")
    return fields, tuple(dict.fromkeys(signatures))


def _lines(data: bytes) -> list[str]:
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the file has more than {MOST_BYTES} bytes")
    if not data.endswith(b"\n"):
        raise refuse(RULE, "the file does not end with a newline")
    try:
        lines = data.decode("ascii").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise refuse(RULE, "the file is not ASCII", error.start) from None
    if len(lines) > MOST_LINES:
        raise refuse(RULE, f"the file has more than {MOST_LINES} lines")
    if not all(is_printable(line) for line in lines):
        raise refuse(RULE, "the file has a control character")
    return lines


def _signature(value: str) -> tuple[str, bytes]:
    name, signature = read_named(value, RULE)
    if len(signature) != SIGNATURE_BYTES:
        raise refuse(RULE, f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return name, signature


def _references(value: str) -> tuple[str, ...]:
    names = value.split(" ") if value else []
    if len(names) > MOST_REFERENCES:
        raise refuse(RULE, f"more than {MOST_REFERENCES:,} references")
    if not all(_is_base_name(name) for name in names):
        raise refuse(RULE, "a reference is no name of a store path")
    if len(set(names)) != len(names):
        raise refuse(RULE, "a reference stands twice")
    # Nix keeps them as a set: what is signed is sorted, whatever the file's order.
    return tuple(sorted(names))


def _is_base_name(name: str) -> bool:
    return _BASE_NAME.fullmatch(name) is not None


def _url(value: str) -> str:
    path = value.partition("?")[0]
    if not path or path.startswith("/") or ":" in path or ".." in path.split("/"):
        raise refuse(RULE, f"the URL {escaped(value)} leads out of the cache")
    return path
