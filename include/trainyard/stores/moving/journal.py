"""What of a bucket lies in a folder already, one line an object: written while it arrives, read by the next attempt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from trainyard.stores.base import Entry


class Journal:
    """An append-only file of entries. A line that a crash cut off is as if it had not been written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def read(self) -> dict[str, Entry]:
        return {entry.key: entry for entry in self._entries()}

    def add(self, entry: Entry) -> None:
        # The newline leads, so that a line after one that was cut off is whole.
        line = "\n" + json.dumps(asdict(entry))
        with self._lock, self._path.open("a", encoding="ascii") as file:
            file.write(line)

    def _entries(self) -> Iterator[Entry]:
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="ascii").splitlines():
            try:
                yield Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue
