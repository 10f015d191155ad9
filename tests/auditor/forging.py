"""Families of damaged and forged bundles, deterministic, each with a name that says what was done.

`mend` is how much the forger puts right afterwards: nothing; SHA256SUMS; chain and checkpoint
too; the countersignatures by keys of strangers; or by the witnesses themselves, who collude.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ceremony.attest.ssh_wire import string
from ceremony.attest.sshsig import armor, signed_data
from ceremony.words import words
from transcripts.canon import canonical
from transcripts.checkpoint import NAMESPACE
from transcripts.log import FIRST, link
from transcripts.merkle import Tree
from transcripts.replay import make_sums

Bundle = Mapping[str, bytes]
Keys = Mapping[str, Ed25519PrivateKey]
Value = dict[str, Any]
T = TypeVar("T")

TRANSCRIPT, CHECKPOINT, SUMS = "transcript.jsonl", "checkpoint.txt", "SHA256SUMS"
STRANGER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a stranger").digest())


def resummed(files: Bundle) -> Bundle:
    """Return the bundle with SHA256SUMS made to fit."""
    rest = {name: data for name, data in files.items() if name != SUMS}
    return {**rest, SUMS: make_sums(rest)}


def sshsig(key: Ed25519PrivateKey, message: bytes, namespace: str = NAMESPACE) -> bytes:
    """Return the signature that ssh-keygen -Y sign makes."""
    public = string(b"ssh-ed25519") + string(key.public_key().public_bytes_raw())
    value = key.sign(signed_data(namespace, message))
    return armor(public, namespace, string(b"ssh-ed25519") + string(value), "sha512")


def resigned(files: Bundle, keys: Keys) -> Bundle:
    """Return the bundle with every countersignature made anew by these keys, sums mended."""
    made = {
        name: sshsig(keys.get(name.split(".")[1], STRANGER), files[CHECKPOINT])
        for name in files
        if name.endswith(".sshsig") and name.startswith("checkpoint.")
    }
    return resummed({**files, **made})


def values_of(files: Bundle) -> list[Value]:
    """Return the lines of a bundle as JSON values."""
    return [json.loads(line) for line in files[TRANSCRIPT].splitlines()]


def relinked(files: Bundle, values: list[Value], kept: Value | None = None) -> Bundle:
    """Return the bundle with these lines, numbered and chained anew, checkpoint and sums mended.

    With `kept`, what recoveries say of the lines before them is mended too, but not in `kept`.
    """
    lines: list[bytes] = []
    for seq, value in enumerate(values):
        value["seq"], value["prev"] = seq, link(lines[-1]) if lines else FIRST
        if value["event"] == "ceremony.recovered" and kept is not None and value is not kept:
            value["body"]["head"] = " ".join(words(Tree(lines).root()[:6]))
        lines.append(canonical(value))
    return headed(files, b"".join(line + b"\n" for line in lines))


def headed(files: Bundle, transcript: bytes) -> Bundle:
    """Return the bundle with this transcript and the checkpoint over it, sums mended."""
    lines = transcript.split(b"\n")[:-1]
    first = json.loads(lines[0]) if lines else {}
    mode = first.get("body", {}).get("mode", "rehearsal")
    root = base64.b64encode(Tree(lines).root()).decode()
    head = f"uki-ceremony/{first.get('ceremony', '')}/{mode}\n{len(lines)}\n{root}\n"
    return resummed({**files, TRANSCRIPT: transcript, CHECKPOINT: head.encode()})


def flipped(data: bytes, place: int) -> bytes:
    """Return the bytes with one bit turned over at `place`."""
    return data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


def lines_moved(count: int) -> Iterator[tuple[str, Callable[[Sequence[T]], list[T]]]]:
    """Yield every line dropped, doubled, swapped with its neighbour, and all from it on cut off."""
    for at in range(count):
        yield f"line {at} dropped", partial(_replaced, at, at + 1, ())
        yield f"line {at} doubled", partial(_replaced, at, at, (at,))
        if at + 1 < count:
            yield f"line {at} swapped with the next", partial(_replaced, at, at + 2, (at + 1, at))
        if at:
            yield f"cut before line {at}", partial(_replaced, at, count, ())


def _replaced(start: int, end: int, instead: tuple[int, ...], lines: Sequence[T]) -> list[T]:
    return [*lines[:start], *(deepcopy(lines[place]) for place in instead), *lines[end:]]


def damaged(files: Bundle, step: int = 1) -> Iterator[tuple[str, Bundle]]:
    """Yield bundles in which nothing was mended, or SHA256SUMS alone."""
    lines = files[TRANSCRIPT].splitlines(keepends=True)
    for number, (name, move) in enumerate(lines_moved(len(lines))):
        if number % step == 0:
            changed = {**files, TRANSCRIPT: b"".join(move(lines))}
            yield name, changed
            yield f"{name}, sums mended", resummed(changed)
    at = 0
    for number, line in enumerate(lines):
        if number % step == 0:
            place = at + (number * 7919) % len(line)
            yield f"line {number} flipped", {**files, TRANSCRIPT: flipped(files[TRANSCRIPT], place)}
            inside = files[TRANSCRIPT][: at + len(line) // 2]
            yield f"cut inside line {number}", resummed({**files, TRANSCRIPT: inside})
        at += len(line)
    for name, data in files.items():
        for part in range(0, 8, step):
            place = len(data) * part // 8
            changed = {**files, name: flipped(data, place)}
            yield f"{name} flipped at {place}", changed
            if name != SUMS:
                yield f"{name} flipped at {place}, sums mended", resummed(changed)
        rest = {n: d for n, d in files.items() if n != name}
        yield f"{name} missing", rest
        if name != SUMS:
            yield f"{name} missing, sums mended", resummed(rest)
            yield f"{name} emptied, sums mended", resummed({**files, name: b""})
            yield f"{name} longer, sums mended", resummed({**files, name: data + b"\n"})
    yield "a file added", {**files, "notes.txt": b"x"}
    yield "a file added, sums mended", resummed({**files, "notes.txt": b"x"})


def moved(files: Bundle, step: int = 1) -> Iterator[tuple[str, Bundle]]:
    """Yield bundles in which lines were moved, and chain, checkpoint and sums mended."""
    for number, (name, move) in enumerate(lines_moved(len(values_of(files)))):
        if number % step == 0:
            yield name, relinked(files, move(values_of(files)))


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for name in sorted(value):
            yield from _leaves(value[name], (*path, name))
        yield path
    elif isinstance(value, list):
        for place, item in enumerate(value[:2]):  # the first two stand for all
            yield from _leaves(item, (*path, place))
        yield path
    else:
        yield path


def _other(value: object) -> object:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case "ok":
            return "refused"
        case "refused":
            return "ok"
        case str() if value:
            return value[:-1] + ("0" if value[-1] != "0" else "1")
        case str():
            return "x"
        case list():
            return value[:-1] if value else [0]
        case dict():
            return {name: value[name] for name in sorted(value)[:-1]}
        case _:
            return "x"


def changed(files: Bundle, step: int = 1) -> Iterator[tuple[str, Bundle]]:
    """Yield bundles in which one value of one event was changed, and everything mended."""
    number = 0
    for seq, line in enumerate(values_of(files)):
        for path in _leaves(line["body"]):
            number += 1
            if number % step or not path:
                continue
            values = values_of(files)
            inside: Any = values[seq]["body"]
            for part in path[:-1]:
                inside = inside[part]
            inside[path[-1]] = _other(inside[path[-1]])
            where = ".".join("[]" if isinstance(part, int) else part for part in path)
            yield f"{line['event']} {where} (line {seq})", relinked(files, values, values[seq])


def forged(files: Bundle, other: Bundle, keys: Keys) -> Iterator[tuple[str, Bundle]]:
    """Yield bundles as somebody with a purpose would make them; `other` is another ceremony's."""

    def signed(**made: bytes) -> Bundle:
        names = {f"checkpoint.{person}.sshsig": data for person, data in made.items()}
        rest = {n: d for n, d in files.items() if not n.startswith("checkpoint.") or n in _HEAD}
        return resummed({**rest, **names})

    head = files[CHECKPOINT]
    by = {person: sshsig(key, head) for person, key in keys.items()}
    values, others = values_of(files), values_of(other)
    yield "one person signs in two names", signed(ed=by["ed"], ines=by["ed"])
    yield "one person signs once", signed(ed=by["ed"])
    yield "the administrator signs for a witness", signed(ed=by["ed"], carol=by["carol"])
    yield "the administrator signs in a witness's name", signed(ed=by["ed"], ines=by["carol"])
    stranger = sshsig(STRANGER, head)
    yield "a stranger signs in a witness's name", signed(ed=by["ed"], ines=stranger)
    yield "a stranger signs in his own name", signed(ed=by["ed"], ines=by["ines"], eve=stranger)
    other_use = sshsig(keys["ines"], head, "file")
    yield "a witness signed for another namespace", signed(ed=by["ed"], ines=other_use)
    for name in (CHECKPOINT, TRANSCRIPT, "checkpoint.ed.sshsig", "anchor.p7", "anchor.signed.efi"):
        yield f"{name} of another ceremony", resummed({**files, name: other[name]})
    spliced = [*values[:20], *others[20:]]
    yield "the second half of another ceremony", relinked(files, deepcopy(spliced))
    for seq in (3, 9, 25, 29, len(values) - 1):
        one = [*values[:seq], others[seq], *values[seq + 1 :]]
        yield f"line {seq} of another ceremony", relinked(files, deepcopy(one))
    sold = deepcopy(values)
    sold[0]["body"]["mode"] = "production"
    yield "a rehearsal sold as production", relinked(files, sold)
    renamed = files[TRANSCRIPT].replace(b'"mode":"rehearsal"', b'"mode":"production"')
    yield "a rehearsal relabelled, nothing else", resummed({**files, TRANSCRIPT: renamed})
    yield "a checkpoint relabelled", resummed({
        **files, CHECKPOINT: head.replace(b"/rehearsal", b"/production")
    })  # fmt: skip
    for bad in (
        b"{}",
        b"[]",
        b"1",
        b"\xff",
        b"\0",
        b'{"a":1,"a":1}',
        b"[" * 10_000,
        b"1e5",
        b"NaN",
    ):
        yield f"a line {bad[:9]!r} added", headed(files, files[TRANSCRIPT] + bad + b"\n")
    first, rest = files[TRANSCRIPT].split(b"\n", 1)
    for name, was, now in (
        ("a space", b'{"body"', b'{ "body"'),
        ("a fraction", b'"seq":0', b'"seq":0.0'),
        ("a sign", b'"seq":0', b'"seq":-0'),
        ("a large integer", b'"seq":0', b'"seq":9007199254740992'),
        ("a member twice", b'"seq":0', b'"seq":0,"seq":0'),
        ("an escape", b'"event"', b'"\\u0065vent"'),
        ("an unknown member", b'"seq":0', b'"seq":0,"sex":0'),
        ("a boolean for an integer", b'"seq":0', b'"seq":false'),
        ("an event of another kind", b'"kind":"observe"', b'"kind":"effect"'),
    ):
        line = first.replace(was, now, 1)
        assert line != first
        yield f"{name} in the first line", headed(files, line + b"\n" + rest)
    yield "no last line feed", headed(files, files[TRANSCRIPT][:-1])
    yield "CR LF", headed(files, files[TRANSCRIPT].replace(b"\n", b"\r\n"))
    yield "an empty folder", {}


_HEAD = (CHECKPOINT,)
