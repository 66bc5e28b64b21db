"""How far the data of a run has been moved, reported between processes by a small file beside its folders."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import Any

from trainyard.stores.moving.values import Terms, TransferState
from trainyard.stores.tree import write_inside
from trainyard.workspace.layout import RunFolder

# It is written every second; what is older was left by a process that is dead.
_FRESH_SECONDS = 15.0


@contextmanager
def reported(run: RunFolder, terms: Terms) -> Iterator[Terms]:
    """Yield the terms with a note of what moves, which `transfer_of` reads from any process until this is left."""

    def note(state: TransferState) -> None:
        # Nothing fails because a report cannot be written.
        with suppress(OSError):
            write_inside(run.root, run.transfer.name, json.dumps(asdict(state)).encode())

    try:
        yield replace(terms, note=note)
    finally:
        with suppress(OSError):
            run.transfer.unlink()


def transfer_of(run: RunFolder, now: float | None = None) -> dict[str, Any] | None:
    """Return what is being moved for the run, as `TransferState` has it, or None; `now` is for tests."""
    try:
        found = json.loads(run.transfer.read_bytes())
        fresh = (time.time() if now is None else now) - found["at"] < _FRESH_SECONDS
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if fresh else None
