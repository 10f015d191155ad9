"""Load a module and call C_Initialize, with the text that some modules demand there.

Decides only how the text gets into CK_C_INITIALIZE_ARGS: in pReserved, where NSS softokn
looks for its parameters; the others get what they always got, no arguments at all. It refuses
to know what the text says. Runs only inside the child process. Source: PKCS#11 v2.40, 5.4;
nss/lib/util/pkcs11t.h (LibraryParameters).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Self

import pkcs11
from pkcs11 import PKCS11Error
from pkcs11._pkcs11 import lib as Library  # noqa: N812 - pkcs11.lib is a function
from pkcs11.exceptions import ArgumentsBad, GeneralError

_OS_LOCKING_OK = 0x2
_CODES = {0x05: GeneralError, 0x07: ArgumentsBad}


class _Arguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS: four functions for locks, flags, and the reserved pointer."""

    _fields_ = (
        ("locks", ctypes.c_void_p * 4),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_char_p),
        # NSS has one more member, its own pReserved, behind the standard's.
        ("more", ctypes.c_void_p),
    )


class _Functions(ctypes.Structure):
    """The head of CK_FUNCTION_LIST: a version, then C_Initialize."""

    _fields_ = (("version", ctypes.c_ubyte * 2), ("initialize", ctypes.c_void_p))


class _Arranged(Library):
    """A module whose C_Initialize is called from here."""

    def __new__(cls, so: str, _text: str) -> Self:
        # The extension type loads the module here; its stub knows no such argument.
        create: Callable[..., Self] = super().__new__
        return create(cls, so)

    def __init__(self, so: str, text: str) -> None:
        self._path, self._text = so, text
        super().__init__(so)

    def initialize(self) -> None:
        """Call C_Initialize once, with the text."""
        functions = ctypes.POINTER(_Functions)()
        code = int(ctypes.CDLL(self._path).C_GetFunctionList(ctypes.byref(functions)))
        if code == 0:
            call = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)
            arguments = _Arguments(flags=_OS_LOCKING_OK, reserved=self._text.encode("utf-8"))
            code = int(call(functions.contents.initialize)(ctypes.byref(arguments)))
        if code in _CODES:
            raise _CODES[code]
        if code:
            raise PKCS11Error(f"Unmapped error code {code:#x}")  # as the library itself says it


def loaded(module: str, text: str) -> Library:
    """Return the initialised module; `text` is "" for one that needs none."""
    return _Arranged(module, text) if text else pkcs11.lib(module)
