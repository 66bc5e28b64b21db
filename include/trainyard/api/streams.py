"""Bytes that a function writes, as an answer that can be sent while they come."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

# Airflow's api-server packs what does not say this: lines would wait for more of them, and a size would be wrong.
AS_IT_IS = {"Content-Encoding": "identity"}
_CHUNK = 64 * 1024
Fill = Callable[[BinaryIO], object]


def chunks_of(fill: Fill) -> Iterator[bytes]:
    """Yield what `fill` writes into the file it is given, and raise what it raises.

    No more than a pipe holds is kept. Who stops reading closes the pipe, and the next write fails.
    """
    ours, theirs = os.pipe()
    failures: list[BaseException] = []
    # Nobody waits for a thread whose reader has gone: it may hang on a store that does not answer.
    thread = threading.Thread(target=_fill, args=(fill, theirs, failures), daemon=True)
    with open(ours, "rb", buffering=0) as source:
        thread.start()
        while chunk := source.read(_CHUNK):
            yield chunk
    thread.join()
    if failures:
        raise failures[0]


def begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Fetch the first chunk at once, so that what goes wrong before it can still be answered as an error."""
    first = next(chunks, b"")

    def all_of_them() -> Iterator[bytes]:
        yield first
        yield from chunks

    return all_of_them()


class Skipping:
    """Passes on what is written behind the first `count` bytes."""

    def __init__(self, into: BinaryIO, count: int) -> None:
        self._into, self._left = into, count

    def write(self, chunk: bytes) -> int:
        fresh = chunk[self._left :]
        self._left = max(self._left - len(chunk), 0)
        if fresh:
            self._into.write(fresh)
        return len(chunk)


def _fill(fill: Fill, descriptor: int, failures: list[BaseException]) -> None:
    try:
        with open(descriptor, "wb") as sink:
            fill(sink)
    except BaseException as error:  # noqa: BLE001 - raised again where the bytes are read
        failures.append(error)
