"""An image as it is read: once, on a thread of its own, while the key is fetched meanwhile.

The layout is judged before the second chunk is read, so a file that is no strict image is
refused at once. This module loads nothing that takes long, so that reading starts at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from ceremony.errors import MediaTrouble
from ceremony.ingest.feeding import feed
from ceremony.ingest.steady import SteadyFile, open_steady
from ceremony.pe.headers import HEAD_BYTES
from ceremony.pe.layout import MOST_BYTES
from ceremony.pe.sweep import Sink, Sweep, SweptImage
from tui.sbsigntools.draft import Draft, drafting

Opened = TypeVar("Opened")


class _Stopped(Exception):
    """Nobody waits for this reading any more."""


class Reading(Thread):
    """One image on its way through; `copies` are fed every byte, too."""

    def __init__(self, file: SteadyFile, costly: tuple[Sink, ...], cheap: tuple[Sink, ...]) -> None:
        """Judge the head and start; raises Refused (PE-...)."""
        super().__init__(daemon=True)
        self._file = file
        self._sweep = Sweep(file.head, file.size)
        self._costly, self._cheap = costly, cheap
        self._given_up = Event()
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Feed digest, table and copies."""
        digest, table = self._sweep.sinks
        try:
            feed(self._chunks(), (digest, *self._costly), (table, *self._cheap))
        except BaseException as error:  # noqa: BLE001 - raised again in `image`
            self._error = error

    def image(self) -> SweptImage:
        """Wait for the end; raises Refused (PE-..., MED-CHANGED) and MediaTrouble."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._sweep.close()

    def stop(self) -> None:
        """End the reading soon, whether or not all was read."""
        self._given_up.set()
        self.join()

    def _chunks(self) -> Iterator[bytes]:
        for chunk in self._file.chunks():
            if self._given_up.is_set():
                raise _Stopped
            yield chunk


@contextmanager
def copying(path: Path, output: Path | None) -> Iterator[tuple[Reading, Draft | None]]:
    """Read an image in the background and, where there is an output, into a draft of that."""
    if output is None:
        with reading(path) as read:
            yield read, None
        return
    with drafting(output) as draft, reading(path, cheap=(draft,)) as read:
        yield read, draft


@contextmanager
def reading(
    path: Path, costly: tuple[Sink, ...] = (), cheap: tuple[Sink, ...] = ()
) -> Iterator[Reading]:
    """Read an image in the background; at the end of the block the reading has ended, too."""
    with _opened(path) as file:
        started = Reading(file, costly, cheap)
        try:
            yield started
        finally:
            started.stop()


def _opened(path: Path) -> SteadyFile:
    """MED-PATH: what cannot even be opened was named wrongly; no medium went away."""
    try:
        return open_steady(path, MOST_BYTES, HEAD_BYTES)
    except MediaTrouble as trouble:
        raise MediaTrouble("MED-PATH", trouble.text) from None
