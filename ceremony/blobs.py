"""Small files in a transcript: readable text where they are text, base64 where they are not."""

from __future__ import annotations

import base64

from ceremony.attest import strict_base64
from ceremony.characters import is_printable
from ceremony.errors import refuse
from ceremony.events import Blob
from ceremony.types import MediaFile

_PLAIN = bytes((*b"\n\t", *range(0x20, 0x7F)))


def to_blob(file: MediaFile) -> Blob:
    """Return the blob of a file: UTF-8 if it is printable text, otherwise base64."""
    return blob_of(file.path, file.data)


def blob_of(path: str, data: bytes) -> Blob:
    """Return the blob of a path and the bytes there."""
    if not data.translate(None, _PLAIN):
        return Blob(path, "utf-8", data.decode("ascii"))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return Blob(path, "base64", base64.b64encode(data).decode("ascii"))
    if is_printable(text.replace("\n", "").replace("\t", "")):
        return Blob(path, "utf-8", text)
    return Blob(path, "base64", base64.b64encode(data).decode("ascii"))


def from_blob(blob: Blob) -> MediaFile:
    """Return the file of a blob; Refused (TRN-EVENT) unless its base64 has the one spelling."""
    match blob.encoding:
        case "utf-8":
            data = blob.content.encode("utf-8")
        case "base64":
            data = strict_base64.decoded(blob.content, "TRN-EVENT")
        case _:
            raise refuse("TRN-EVENT", "a file in the transcript has an unknown encoding")
    return MediaFile(blob.path, data)
