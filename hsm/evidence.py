"""Turn the child's answer about a token into evidence, believing no shape of it unchecked.

Decides only whether an answer is one: the vendor's code runs in the process that gave it.
Every text is escaped here, since labels and names are whatever the token's owner typed. It
refuses to judge what the evidence says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, get_args

from cryptography.hazmat.primitives.asymmetric import rsa

from ceremony.errors import TokenTrouble
from ceremony.preflight import SigningKey, spki_sha256
from ceremony.show import MOST_CHARACTERS, escaped
from ceremony.token import FoundAs, KeyEvidence, PinState, Possession, Stage, TokenEvidence
from hsm.attestation import attesting
from hsm.libraries import measured

LIST_MOST = 1000
ANSWER_MOST_CHARACTERS = 16 * 1024

Answer = Mapping[str, object]


def read_evidence(  # noqa: PLR0913 - each is one independent fact
    answer: Answer,
    *,
    module_path: str,
    module_sha256: str,
    sandbox: str,
    key: SigningKey,
    stage: Stage,
    possession: Possession,
) -> TokenEvidence:
    """Return the evidence in an answer to "load" and "probe".

    Raises TokenTrouble: KEY-CHILD, or KEY-MODULE where another file is mapped than was measured.
    """
    libraries = measured(_paths(answer, "libraries"))
    if module_sha256 not in dict(libraries).values():
        why = "the module that runs is not the file that was measured; it was replaced"
        raise TokenTrouble("KEY-MODULE", why)
    return TokenEvidence(
        module_path=escaped(module_path),
        module_sha256=module_sha256,
        library_manufacturer=text(answer, "library_manufacturer"),
        library_description=text(answer, "library_description"),
        library_version=text(answer, "library_version"),
        cryptoki=text(answer, "cryptoki"),
        slot_id=_number(answer, "slot_id"),
        slot_description=text(answer, "slot_description"),
        slot_manufacturer=text(answer, "slot_manufacturer"),
        token_label=text(answer, "token_label"),
        token_serial=text(answer, "token_serial"),
        token_model=text(answer, "token_model"),
        token_manufacturer=text(answer, "token_manufacturer"),
        token_flags=flags(answer, "token_flags"),
        mechanisms=flags(answer, "mechanisms"),
        keys=tuple(_key(one, key) for one in _list(answer, "keys")),
        pin_state=pin_state_of(answer),
        protected_path=answer.get("protected_path") is True,
        libraries=tuple((escaped(path), digest) for path, digest in libraries),
        sandbox=sandbox,
        grade="asserted by module",
        stage=stage,
        possession=possession,
        attestation=attesting(answer),
    )


def _key(entry: object, key: SigningKey) -> KeyEvidence:
    if not isinstance(entry, dict):
        raise _bad("keys")
    attributes = tuple(_pair(one) for one in _list(entry, "attributes"))
    return KeyEvidence(
        label=text(entry, "label"),
        id=text(entry, "id"),
        spki_sha256=spki_sha256(key),
        key_type="RSA" if isinstance(key, rsa.RSAPublicKey) else f"EC {key.curve.name}",
        bits=key.key_size,
        found_as=cast("FoundAs", _one_of(entry, "found_as", get_args(FoundAs))),
        attributes=attributes,
        always_authenticate=("ALWAYS_AUTHENTICATE", "true") in attributes,
    )


def _pair(entry: object) -> tuple[str, str]:
    match entry:
        case [str() as name, "true" | "false" | "unreadable" as value]:
            return escaped(name), value
        case _:
            raise _bad("attributes")


def text(answer: Answer, name: str, most: int = MOST_CHARACTERS) -> str:
    """Return one text of an answer, escaped, or raise TokenTrouble KEY-CHILD."""
    value = answer.get(name)
    if not isinstance(value, str):
        raise _bad(name)
    return escaped(value, most)


def octets(answer: Answer, name: str) -> bytes:
    """Return bytes that stand in an answer as hex, or raise TokenTrouble KEY-CHILD."""
    try:
        return bytes.fromhex(text(answer, name, ANSWER_MOST_CHARACTERS))
    except ValueError:
        raise _bad(name) from None


def _number(answer: Answer, name: str) -> int:
    value = answer.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad(name)
    return value


def _list(answer: Answer, name: str) -> list[object]:
    value = answer.get(name)
    if not isinstance(value, list) or len(value) > LIST_MOST:
        raise _bad(name)
    return value


def pin_state_of(answer: Answer) -> PinState:
    """Return what the token says of its PIN tries, or raise TokenTrouble KEY-CHILD."""
    return cast("PinState", _one_of(answer, "pin_state", get_args(PinState)))


def flags(answer: Answer, name: str) -> tuple[str, ...]:
    """Return a list of texts of an answer, escaped, or raise TokenTrouble KEY-CHILD."""
    return tuple(text({name: one}, name) for one in _list(answer, name))


def _paths(answer: Answer, name: str) -> tuple[str, ...]:
    found = _list(answer, name)
    if not all(isinstance(one, str) and one.startswith("/") and "\0" not in one for one in found):
        raise _bad(name)
    return tuple(str(one) for one in found)


def _one_of(answer: Answer, name: str, allowed: tuple[str, ...]) -> str:
    value = text(answer, name)
    if value not in allowed:
        raise _bad(name)
    return value


def _bad(name: str) -> TokenTrouble:
    return TokenTrouble("KEY-CHILD", f"the token's process gave no usable {name}")
