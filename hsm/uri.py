"""Read a key's PKCS#11 URI (RFC 7512), strictly, as the name of one token and key.

Decides what a URI may say in a reviewed policy: which token, by what is printed on it and
in it. A PIN or the place of one, a module to load and a slot number are refused: a PIN never
stands in a file, the module belongs to the machine binding, and slot numbers move. Unknown
attributes are refused as well, since leaving one out would widen what matches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ceremony.errors import Refused, TokenTrouble, refuse
from ceremony.show import escaped
from ceremony.token import TokenEvidence

URI_MOST_CHARACTERS = 1024

# RFC 7512, 2.3: pk11-res-avail, and what pk11-pchar and pk11-qchar add to it.
_AVAILABLE = r"A-Za-z0-9\-._~:\[\]@!$'()*+,="
_PATH_VALUE = re.compile(rf"(?:[{_AVAILABLE}&]|%[0-9A-Fa-f]{{2}})*")
_QUERY_VALUE = re.compile(rf"(?:[{_AVAILABLE}/?|]|%[0-9A-Fa-f]{{2}})*")
_NAME = re.compile(r"[A-Za-z0-9_-]+")

TOKEN_ATTRIBUTES = (
    "token",
    "manufacturer",
    "serial",
    "model",
    "library-manufacturer",
    "library-description",
    "library-version",
    "slot-manufacturer",
    "slot-description",
)
_KEY_ATTRIBUTES = ("object", "type", "id")
_REFUSED = {
    "pin-value": "a PIN never stands in a URI",
    "pin-source": "the PIN is typed by its holder, not read from a place",
    "module-name": "the module is named by the machine binding",
    "module-path": "the module is named by the machine binding",
    "slot-id": "slot numbers move; name the token by label and serial",
}

Attributes = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class TokenUri:
    """What a policy says about token and key; `token` is (attribute, text) in URI order.

    `label` and `id` (CKA_ID in hex) are None where the URI does not name them.
    """

    token: tuple[tuple[str, str], ...]
    label: str | None
    id: str | None


def attributes(uri: str) -> tuple[Attributes, Attributes]:
    """Split a URI by the grammar of RFC 7512, 2.3 into path and query attributes, decoded.

    Raises Refused KEY-URI on what the grammar does not allow, and on an attribute that
    stands twice (2.3: "MUST NOT contain duplicate attributes of the same name").
    """
    if len(uri) > URI_MOST_CHARACTERS:
        raise refuse("KEY-URI", f"the URI is longer than {URI_MOST_CHARACTERS} characters")
    scheme, colon, rest = uri.partition(":")
    # RFC 3986, 3.1: schemes are case-insensitive.
    if not colon or scheme.lower() != "pkcs11":
        raise refuse("KEY-URI", f"not a pkcs11 URI: {escaped(uri)}")
    path, mark, query = rest.partition("?")
    if mark and not query:
        raise refuse("KEY-URI", "the query is empty")
    return _split(path, ";", _PATH_VALUE), _split(query, "&", _QUERY_VALUE)


def _split(text: str, separator: str, value_form: re.Pattern[str]) -> Attributes:
    if not text:
        return ()
    found: dict[str, bytes] = {}
    for part in text.split(separator):
        name, equals, value = part.partition("=")
        if not equals or not _NAME.fullmatch(name) or not value_form.fullmatch(value):
            # A refused URI may hold a PIN, so a malformed part is not quoted.
            raise refuse("KEY-URI", f"attribute {len(found) + 1} is not name=value of RFC 7512")
        if name in found:
            raise refuse("KEY-URI", f"{escaped(name)} stands twice")
        found[name] = _decoded(value)
    return tuple(found.items())


def _decoded(value: str) -> bytes:
    pieces = re.split(r"%([0-9A-Fa-f]{2})", value)
    return b"".join(
        bytes.fromhex(piece) if index % 2 else piece.encode("ascii")
        for index, piece in enumerate(pieces)
    )


def parse(uri: str) -> TokenUri:
    """Read the URI of a signing key, or raise Refused KEY-URI."""
    path, query = attributes(uri)
    for name, _ in (*path, *query):
        if name in _REFUSED:
            raise refuse("KEY-URI", f"{name}: {_REFUSED[name]}")
    for name, _ in (*path, *query):
        if name not in (*TOKEN_ATTRIBUTES, *_KEY_ATTRIBUTES) or (name, _) in query:
            raise refuse("KEY-URI", f"unknown attribute {escaped(name)}")
    values = dict(path)
    if values.get("type", b"private") != b"private":
        raise refuse("KEY-URI", f"type is {escaped(_text(values['type']))}, must be private")
    named = tuple((name, _text(value)) for name, value in path if name in TOKEN_ATTRIBUTES)
    if not named:
        raise refuse("KEY-URI", "the URI names no token; give at least token= or serial=")
    return TokenUri(
        named,
        _text(values["object"]) if "object" in values else None,
        values["id"].hex() if "id" in values else None,
    )


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise _not_text() from None


def _not_text() -> Refused:
    return refuse("KEY-URI", "an attribute is not UTF-8 text")


def check_key(uri: TokenUri, evidence: TokenEvidence) -> None:
    """Raise TokenTrouble KEY-URI where the URI names another label or id than the key bears."""
    for key in evidence.keys:
        if key.found_as != "private key":
            continue
        for name, named, borne in (("object", uri.label, key.label), ("id", uri.id, key.id)):
            if named is not None and named != borne:
                text = f"the key's URI names another {name} than the key bears: {borne}"
                raise TokenTrouble("KEY-URI", text)
