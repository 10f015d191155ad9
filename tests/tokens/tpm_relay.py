"""Run a TPM and clear what each process leaves in it, as the kernel's /dev/tpmrm0 does.

Arguments: the socket for clients, the TPM's own socket, the TPM's command. The clients'
library makes a connection for each command, so that the process tells whose it is.
Source: TPM 2.0 part 3, 28.4 TPM2_FlushContext and 30.2 TPM2_GetCapability.
"""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

_NO_SESSIONS = 0x8001
_GET_CAPABILITY, _FLUSH_CONTEXT, _HANDLES = 0x17A, 0x165, 1
_TRANSIENT, _LOADED_SESSIONS = 0x80000000, 0x02000000


def main(path: str, behind: str, *command: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with ExitStack() as stack:
        daemon = stack.enter_context(subprocess.Popen(command))
        stack.callback(daemon.terminate)
        door = stack.enter_context(socket.socket(socket.AF_UNIX))
        while not Path(behind).exists() and daemon.poll() is None:
            time.sleep(0.005)
        door.bind(path)
        door.listen()
        last = 0
        while daemon.poll() is None:
            client, _ = door.accept()
            with client, socket.socket(socket.AF_UNIX) as tpm, suppress(OSError, EOFError):
                tpm.connect(behind)
                message, process = _message(client), _process(client)
                if process != last:
                    _clear(tpm)
                    last = process
                while True:
                    client.sendall(_asked(tpm, message))
                    message = _message(client)


def _process(client: socket.socket) -> int:
    size = struct.calcsize("3i")
    return struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0]


def _clear(tpm: socket.socket) -> None:
    for first in (_TRANSIENT, _LOADED_SESSIONS):
        body = struct.pack(">III", _HANDLES, first, 64)
        answer = _asked(tpm, _command(_GET_CAPABILITY, body))
        count = int.from_bytes(answer[15:19], "big")
        for handle in struct.unpack_from(f">{count}I", answer, 19):
            _asked(tpm, _command(_FLUSH_CONTEXT, struct.pack(">I", handle)))


def _command(code: int, body: bytes) -> bytes:
    return struct.pack(">HII", _NO_SESSIONS, 10 + len(body), code) + body


def _asked(tpm: socket.socket, message: bytes) -> bytes:
    tpm.sendall(message)
    return _message(tpm)


def _message(line: socket.socket) -> bytes:
    """Read a command or a response: tag, size of all, code, the rest."""
    head = _exactly(line, 10)
    return head + _exactly(line, int.from_bytes(head[2:6], "big") - len(head))


def _exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (more := line.recv(count - len(data))):
            raise EOFError
        data += more
    return data


main(*sys.argv[1:])
