"""One read feeds several hashers: each that is costly on a thread of its own, in file order.

Hashing releases the interpreter, so that reading, hashing and writing run on as many cores as
there are. What is in flight is bounded. An error of any feeder ends the whole feeding.
"""

from __future__ import annotations

from collections.abc import Iterable
from queue import SimpleQueue
from threading import Semaphore, Thread

from ceremony.pe.sweep import Sink

MOST_IN_FLIGHT = 4  # chunks that wait for one hasher


class _Feeder(Thread):
    """One sink's thread; bounded by a semaphore, since SimpleQueue is the faster queue."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(daemon=True)
        self._sink = sink
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._room = Semaphore(MOST_IN_FLIGHT)
        self.error: BaseException | None = None

    def put(self, chunk: bytes | None) -> None:
        self._room.acquire()
        self._queue.put(chunk)

    def run(self) -> None:
        while (chunk := self._queue.get()) is not None:
            if self.error is None:
                try:
                    self._sink.update(chunk)
                except BaseException as error:  # noqa: BLE001 - raised again where it is joined
                    self.error = error
            self._room.release()


def feed(chunks: Iterable[bytes], costly: Iterable[Sink], cheap: Iterable[Sink]) -> None:
    """Feed every chunk to all sinks: to `costly` ones in parallel, to `cheap` ones here."""
    feeders = [_Feeder(sink) for sink in costly]
    for feeder in feeders:
        feeder.start()
    here = tuple(cheap)
    try:
        for chunk in chunks:
            for feeder in feeders:
                feeder.put(chunk)
            for sink in here:
                sink.update(chunk)
    finally:
        for feeder in feeders:
            feeder.put(None)
        for feeder in feeders:
            feeder.join()
    for feeder in feeders:
        if feeder.error is not None:
            raise feeder.error
