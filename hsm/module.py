"""Whether a file can be this machine's PKCS#11 module, and the SHA-256 that names it.

Decides before anything of it is run: a regular file, an ELF shared object for the class,
byte order and machine of the running interpreter. It refuses to know what is inside.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from ceremony.errors import TokenTrouble
from ceremony.show import escaped

_SHARED_OBJECT = 3
_HEADER_BYTES = 20


def measure_module(path: Path) -> str:
    """Return the hex SHA-256 of the module at `path`, or raise TokenTrouble KEY-MODULE."""
    shown = escaped(str(path))
    if not path.is_file():
        raise TokenTrouble("KEY-MODULE", f"there is no file {shown}")
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TokenTrouble("KEY-MODULE", f"{shown} cannot be read: {error.strerror}") from None
    if header[:4] != b"\x7fELF" or len(header) < _HEADER_BYTES:
        raise TokenTrouble("KEY-MODULE", f"{shown} is not an ELF file")
    with Path("/proc/self/exe").open("rb") as own_file:
        own = own_file.read(_HEADER_BYTES)
    # ELF header: bytes 4 and 5 are class and byte order, 16-17 e_type, 18-19 e_machine.
    if header[4:6] != own[4:6] or header[18:20] != own[18:20]:
        raise TokenTrouble("KEY-MODULE", f"{shown} was built for another machine")
    # Byte 5 equals ours by now, so e_type has the byte order of this machine.
    if int.from_bytes(header[16:18], sys.byteorder) != _SHARED_OBJECT:
        raise TokenTrouble("KEY-MODULE", f"{shown} is not a shared object")
    return digest
