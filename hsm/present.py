"""Which tokens a module shows, and what each shows of itself before any PIN is typed.

Decides only that the child's answer has the shape of one; labels are escaped, since they are
whatever the token's owner typed. It refuses to judge: ceremony.preflight does, on the
evidence of one probe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ceremony.errors import TokenTrouble
from ceremony.token import PinState
from hsm.binding import Binding
from hsm.child import Child
from hsm.evidence import flags, octets, pin_state_of, text
from hsm.module import measure_module

# RFC 7512, 2.3: what may stand in a path attribute as it is, besides letters and digits.
_PLAIN = "-._~:[]@!$'()*+,=&"


@dataclass(frozen=True, slots=True)
class ShownObject:
    """A key or a certificate (DER) that is seen without a PIN; `id` is CKA_ID in hex."""

    found_as: str
    label: str
    id: str
    key_type: str
    bits: int
    certificate: bytes


@dataclass(frozen=True, slots=True)
class ShownToken:
    """One token; `fault` says why it cannot be used, and then little else is known.

    `uri` names the token by label and serial, as a policy would; texts are escaped, it is not.
    """

    slot_id: int
    fault: str
    slot: str = ""
    label: str = ""
    serial: str = ""
    model: str = ""
    manufacturer: str = ""
    flags: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    pin_state: PinState = "unknown"
    protected_path: bool = False
    objects: tuple[ShownObject, ...] = ()
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """The module (path, SHA-256, what it calls itself) and every token that it shows."""

    module_path: str
    module_sha256: str
    library_manufacturer: str
    library_description: str
    library_version: str
    cryptoki: str
    sandbox: str
    tokens: tuple[ShownToken, ...]


def show_tokens(binding: Binding) -> Shown:
    """Load the binding's module in a process of its own and return what it shows.

    Raises TokenTrouble: KEY-MODULE, KEY-SANDBOX, KEY-TOKEN, KEY-CHILD.
    """
    digest = measure_module(binding.module)
    child = Child("signing", binding)
    try:
        library = child.ask("load", binding.limits.start, module=str(binding.module))
        answer = child.ask("tokens", binding.limits.probe)
    finally:
        child.close()
    found = answer.get("tokens")
    if not isinstance(found, list):
        raise TokenTrouble("KEY-CHILD", "the token's process gave no usable tokens")
    return Shown(
        module_path=str(binding.module),
        module_sha256=digest,
        library_manufacturer=text(library, "library_manufacturer"),
        library_description=text(library, "library_description"),
        library_version=text(library, "library_version"),
        cryptoki=text(library, "cryptoki"),
        sandbox=binding.sandbox.described if binding.sandbox else "none",
        tokens=tuple(_token(one) for one in found),
    )


def _token(answer: object) -> ShownToken:
    if not isinstance(answer, dict) or not isinstance(answer.get("slot_id"), int):
        raise TokenTrouble("KEY-CHILD", "the token's process gave no usable token")
    if "broken" in answer:
        return ShownToken(answer["slot_id"], f"cannot be read: {text(answer, 'broken')}")
    objects = answer.get("keys")
    if not isinstance(objects, list):
        raise TokenTrouble("KEY-CHILD", "the token's process gave no usable keys")
    return ShownToken(
        slot_id=answer["slot_id"],
        fault="" if answer.get("initialised") is True else "not initialised",
        slot=text(answer, "slot_description"),
        label=text(answer, "token_label"),
        serial=text(answer, "token_serial"),
        model=text(answer, "token_model"),
        manufacturer=text(answer, "token_manufacturer"),
        flags=flags(answer, "token_flags"),
        mechanisms=flags(answer, "mechanisms"),
        pin_state=pin_state_of(answer),
        protected_path=answer.get("protected_path") is True,
        objects=tuple(_object(one) for one in objects),
        uri="pkcs11:token={};serial={}".format(
            *(quote(str(answer[name]), safe=_PLAIN) for name in ("token_label", "token_serial"))
        ),
    )


def _object(answer: object) -> ShownObject:
    if not isinstance(answer, Mapping) or not isinstance(answer.get("bits"), int):
        raise TokenTrouble("KEY-CHILD", "the token's process gave no usable key")
    return ShownObject(
        found_as=text(answer, "found_as"),
        label=text(answer, "label"),
        id=text(answer, "id"),
        key_type=text(answer, "key_type"),
        bits=answer["bits"],
        certificate=octets(answer, "certificate"),
    )
