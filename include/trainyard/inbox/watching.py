"""When the watcher starts a pass: for what is new and settled, and again for what stays."""

from __future__ import annotations

from trainyard.inbox.drops import Drop
from trainyard.inbox.marks import Kind, mark_of
from trainyard.inbox.passing import Seen

# Long enough for a whole pass, short enough for a front door that was down for a minute.
AGAIN_SECONDS = 300.0


class Watch:
    """One watcher's memory. `patience` is how many seconds a half-written drop is waited for."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._before = Seen((), ())
        self._called: dict[tuple[str, str], float] = {}

    def due(self, seen: Seen, now: float) -> tuple[Drop, ...]:
        """Return the drops to call for, given the look of this moment: unchanged since the last one, and wanting hands.

        `now` is in seconds since the epoch. Those that were called for lately are being handled, and are left out.
        """
        steady = seen.unchanged(self._before)
        self._before = seen
        there = {_identity(drop) for drop in seen.drops}
        self._called = {drop: when for drop, when in self._called.items() if drop in there}
        due = tuple(drop for drop in steady if self._wants_hands(drop, seen, now))
        self._called |= {_identity(drop): now for drop in due}
        return due

    def _wants_hands(self, drop: Drop, seen: Seen, now: float) -> bool:
        waiting = mark_of(seen.marks, Kind.WAITING, drop)
        if waiting and now - waiting.time < self._patience:
            return False
        called = self._called.get(_identity(drop))
        # A mark that has just run out is news, whenever its drop was called for first.
        fresh = called is None or (waiting is not None and called < waiting.time + self._patience)
        return fresh or (called is not None and now - called >= AGAIN_SECONDS)


def _identity(drop: Drop) -> tuple[str, str]:
    return drop.place, drop.fingerprint
