"""Files on their way to a client."""

from __future__ import annotations

from typing import Any, BinaryIO

# Airflow's api-server packs what does not say this: lines would wait for more of them, and a size would be wrong.
AS_IT_IS = {"Content-Encoding": "identity"}


class Skipping:
    """Passes on what is written behind the first `count` bytes."""

    def __init__(self, into: BinaryIO, count: int) -> None:
        self._into, self._left = into, count

    def write(self, chunk: Any) -> int:
        fresh = chunk[self._left :]
        self._left = max(self._left - len(chunk), 0)
        if fresh:
            self._into.write(fresh)
        return len(chunk)
