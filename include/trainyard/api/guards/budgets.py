"""What a member may use a minute and at the same time; memory is bounded whatever names come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil

from trainyard.errors import TrainyardError

_MAX_MEMBERS = 10_000
Clock = Callable[[], float]


@dataclass
class Bucket:
    """A token bucket that holds one minute's worth. It may go into debt: what is under way is paid afterwards."""

    per_minute: float
    level: float
    at: float

    def refill(self, now: float) -> None:
        self.level = min(self.per_minute, self.level + (now - self.at) * self.per_minute / 60)
        self.at = now

    def seconds_until(self, amount: float) -> float:
        """Return the seconds until so much is in the bucket; 0 where it is."""
        return max(0.0, (amount - self.level) * 60 / self.per_minute)


class Budget:
    """An amount a minute for each name; 0 a minute is no limit. Names that were not seen for longest are forgotten."""

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def require(self, name: str, amount: float, what: str) -> None:
        """Raise TrainyardError C120 with the seconds to wait unless so much is left."""
        if not self._per_minute:
            return
        wait = self._bucket(name).seconds_until(min(amount, self._per_minute))
        if wait > 0:
            raise too_many(f"{name} has used up the {what} of a minute", wait)

    def spend(self, name: str, amount: float) -> float:
        """Take an amount and return for how many seconds to pause until the debt is paid."""
        if not self._per_minute:
            return 0.0
        bucket = self._bucket(name)
        bucket.level -= amount
        return bucket.seconds_until(0)

    def _bucket(self, name: str) -> Bucket:
        now = self._clock()
        found = self._buckets.setdefault(name, Bucket(self._per_minute, self._per_minute, now))
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MAX_MEMBERS:
            self._buckets.popitem(last=False)
        found.refill(now)
        return found


@dataclass
class AtOnce:
    """How many of something each name has at the same time; a maximum of 0 is no limit."""

    maximum: int
    _open: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def one(self, name: str, what: str) -> Iterator[None]:
        """Count one while the block runs; raise TrainyardError C120 when the name has its maximum."""
        if self.maximum and self._open.get(name, 0) >= self.maximum:
            raise too_many(f"{name} has {self.maximum} {what} open, which is the most", 5)
        self._open[name] = self._open.get(name, 0) + 1
        try:
            yield
        finally:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]


def too_many(message: str, wait: float) -> TrainyardError:
    seconds = max(1, ceil(wait))
    error = TrainyardError("C120", message, f"Try again in {seconds} s.")
    error.retry_after = seconds
    return error
