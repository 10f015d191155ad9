"""Which files make up a bundle, under which names, with which bytes.

Names that came from media are kept only when they are plain; anything else is named by
its digest, so that no path from a stick decides where a file is written.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from ceremony.blobs import from_blob
from ceremony.characters import lowered
from ceremony.content import Stored, pieces_of
from ceremony.effects import Buffer, Output
from ceremony.events import OutputFile
from ceremony.states import Seal, blobs
from ceremony.types import MediaFile

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
MOST_DEPTH = 8

TRANSCRIPT = "transcript.jsonl"
CHECKPOINT = "checkpoint.txt"
SUMS = "SHA256SUMS"
POLICY = "policy.toml"
MEDIUM = "in"
BY_DIGEST = "in-by-digest"
RESERVED = (TRANSCRIPT, CHECKPOINT, SUMS, POLICY)


def image_name(path: str) -> str:
    """Return the image's own file name, or "image.efi" where it is not a plain one."""
    name = path.rsplit("/", 1)[-1]
    return name if _PLAIN.fullmatch(name) and name not in RESERVED else "image.efi"


def signed_name(path: str) -> str:
    """Return the signed image's file name: anchor.efi becomes anchor.signed.efi."""
    return image_name(path).removesuffix(".efi") + ".signed.efi"


def detached_name(path: str) -> str:
    """Return the detached signature's file name: anchor.efi becomes anchor.p7."""
    return image_name(path).removesuffix(".efi") + ".p7"


def medium_names(files: tuple[MediaFile, ...]) -> dict[str, str]:
    """Return each media file's place in the bundle: its path where that is plain and its own.

    A path that differs from another one, or from a folder of another one, only in case or in
    dots at its end could meet it on a FAT medium: both are named by their digests then, in a
    folder that no plain path leads to.
    """
    keys = [_key(file.path) for file in files]
    taken = Counter(keys)
    folders = {key[:end] for key in keys for end in range(1, len(key))}
    names = {}
    for file, key in zip(files, keys, strict=True):
        plain = len(key) <= MOST_DEPTH and all(_PLAIN.fullmatch(p) for p in file.path.split("/"))
        own = taken[key] == 1 and key not in folders
        if not (plain and own and not _clashes(key, taken)):
            names[file.path] = f"{BY_DIGEST}/{hashlib.sha256(file.data).hexdigest()}"
        else:
            names[file.path] = f"{MEDIUM}/{file.path}"
    return names


def _key(path: str) -> tuple[str, ...]:
    return tuple(lowered(part).rstrip(". ") for part in path.split("/"))


def _clashes(key: tuple[str, ...], taken: Counter[tuple[str, ...]]) -> bool:
    """Tell whether a folder on the way to `key` is itself a file."""
    return any(key[:end] in taken for end in range(1, len(key)))


def signature_name(path: str) -> str:
    """Return a policy signature's place in the bundle."""
    name = path.rsplit("/", 1)[-1]
    plain = _PLAIN.fullmatch(name) and name.startswith(POLICY + ".")
    return name if plain else f"{POLICY}.{hashlib.sha256(path.encode()).hexdigest()[:16]}.sshsig"


def outputs(state: Seal, image: Stored | None) -> tuple[Output, ...]:
    """Return every output of a sealed ceremony but the transcript and what signs it.

    `image` is the unsigned image's content, None when nothing was taken in.
    """
    made: dict[str, Output] = {}
    for name, data in _small_files(state):
        made.setdefault(name, _whole(name, data))
    signed = state.signed
    if state.taken and signed and image is not None:
        path = state.taken.image.path
        pieces: Callable[[], Iterator[Buffer]] = signed.image.pieces
        file = OutputFile(signed_name(path), signed.image.size, signed.image.sha256.hex)
        made[file.name] = Output(file, pieces)
        made[detached_name(path)] = _whole(detached_name(path), signed.image.cms)
    if state.taken and image is not None and state.policy and state.policy.outputs.unsigned:
        entry = state.taken.image
        file = OutputFile(image_name(entry.path), entry.size, entry.sha256)
        made[file.name] = Output(file, partial(pieces_of, image))
    return tuple(made[name] for name in sorted(made))


def _small_files(state: Seal) -> Iterator[tuple[str, bytes]]:
    if state.read:
        yield POLICY, from_blob(state.read.policy).data
        for blob in state.read.signatures:
            yield signature_name(blob.path), from_blob(blob).data
    files = tuple(from_blob(blob) for blob in blobs(state))
    names = medium_names(files)
    for file in files:
        yield names[file.path], file.data


def _whole(name: str, data: bytes) -> Output:
    return Output(
        OutputFile(name, len(data), hashlib.sha256(data).hexdigest()), partial(_once, data)
    )


def _once(data: Buffer) -> Iterator[Buffer]:
    yield data
