"""Read one QR code from grey pixels on standard input; the program of a child process.

Arguments: width and height. Output: the code's bytes. Exit status: 0 one code was read,
3 pyzbar is missing, 4 its system library is missing, 5 there is not exactly one code.
It imports nothing of the ceremony and is started as a file.
"""

from __future__ import annotations

import sys

PYZBAR_MISSING, LIBRARY_MISSING, NOT_ONE = 3, 4, 5


def main() -> int:
    """Read, write, and return the exit status."""
    width, height = int(sys.argv[1]), int(sys.argv[2])
    pixels = sys.stdin.buffer.read(width * height)
    try:
        from pyzbar.pyzbar import ZBarSymbol, decode  # noqa: PLC0415 - loads the library
    except ModuleNotFoundError:
        return PYZBAR_MISSING
    except ImportError:
        return LIBRARY_MISSING
    found = decode((pixels, width, height), symbols=[ZBarSymbol.QRCODE])
    if len(found) != 1:
        return NOT_ONE
    sys.stdout.buffer.write(found[0].data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
