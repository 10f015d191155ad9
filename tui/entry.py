"""The start: a clean environment, one home, one subcommand, one exit status, no traceback.

Variables that could steer the interpreter, Textual or OpenSSL are removed before anything
else is imported. A bug ends here too: its type and place are said, nothing it held is
shown, and the transcript stays resumable.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from types import FrameType
from typing import NoReturn

BUG_STATUS = 3  # could not be done

STEERING = ("TEXTUAL", "PYTHON", "OPENSSL", "LD_", "SSH_ASKPASS")


def main() -> int:
    """Run `uki-ceremony`: one subcommand; without one, begin a rehearsal."""
    return start(sys.argv[1:])


def sbsign() -> NoReturn:
    """Run `uki-sbsign`."""
    _drop_in("sbsign")


def sbverify() -> NoReturn:
    """Run `uki-sbverify`."""
    _drop_in("sbverify")


def sbattach() -> NoReturn:
    """Run `uki-sbattach`."""
    _drop_in("sbattach")


def _drop_in(name: str) -> NoReturn:
    """Run a command that builds call often: a second interpreter would take half its time.

    The working folder is not on a script's path. What PYTHONPATH or a user's site-packages put
    there is taken off before the program itself is imported; whoever sets them for a build
    can run what they like in it anyway.
    """
    homes = (sys.prefix + os.sep, sys.base_prefix + os.sep)
    sys.path[:] = [path for path in sys.path if path.startswith(homes)]
    gc.disable()  # what is loaded stays until the process ends, which is soon
    status = _started([name, *sys.argv[1:]])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        status = 1
    os._exit(status)  # all is written and closed; taking the interpreter down takes 10 ms


def start(arguments: list[str]) -> int:
    """Run one subcommand in a clean interpreter; return the exit status."""
    if not sys.flags.isolated:
        # -I keeps the working folder, PYTHON* and the user's site-packages out of the path.
        os.execv(sys.executable, [sys.executable, "-I", "-m", "tui", *arguments])  # noqa: S606 - this interpreter, no shell
    from tui.secret import keep_from_cores  # noqa: PLC0415 - in the clean interpreter only

    keep_from_cores()
    return _started(arguments)


def _started(arguments: list[str]) -> int:
    for name in [n for n in os.environ if n.startswith(STEERING)]:
        del os.environ[name]
    sys.excepthook = _last_words
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)  # no core of a process that holds a PIN
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(os.umask(0o022) | 0o022)  # a stricter one stays
    _open_standard_streams()
    from tui.commands.dispatch import dispatch  # noqa: PLC0415 - after the scrubbing

    try:
        return dispatch(arguments)
    except Exception as error:  # noqa: BLE001 - the crash path: a bug is said, nothing it held
        _last_words(type(error), error, None)
        return BUG_STATUS


def _open_standard_streams() -> None:
    """Give 0, 1 and 2 to nobody else: a file that got one of them would be written into."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _last_words(kind: type[BaseException], error: BaseException, _trace: object) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("\nstopped\n")
        return
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    sys.stderr.write(
        f"BUG: {kind.__name__} at {place}\n"
        "       This is a fault of the program, not of the input; nothing was half written.\n"
        "       next: keep the log folders, start the same command again, report the line above.\n"
    )
