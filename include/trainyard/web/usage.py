"""What the accounts own and use, quick enough for a page that is left open: GPU hours are counted in the background."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock

from trainyard.core.accounts import SERVICE, Caller
from trainyard.core.quota import Quotas, Share, Usage, usages

# The hours of seven days are read from all of their runs: a second of a processor among ten thousand.
_KEPT_SECONDS = 300.0
# Everybody who has a list open asks for the same.
_SHARES_KEPT_SECONDS = 2.0


@dataclass
class QuickUsage:
    """What is used now is read at once; of GPU hours the last count is taken, NaN before the first."""

    quotas: Quotas
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="gpu-hours"))
    _hours: Mapping[str, float] = field(default_factory=dict)
    _counting: Future[None] | None = None
    _counted_at: float = -math.inf
    _shares: tuple[float, Sequence[Share]] = (-math.inf, ())
    _lock: Lock = field(default_factory=Lock)

    def of(self, caller: Caller) -> list[Usage]:
        """Return the accounts that the caller is a member of, an admin all."""
        now, limits = self.quotas.clock(), self.quotas.limits()
        accounts = list(limits.accounts.values()) if caller.admin else limits.accounts_of(caller.name)
        self._count_again(now)
        found = usages(accounts, self._shares_now(now), now)
        return [replace(usage, gpu_hours=self._hours.get(usage.account, math.nan)) for usage in found]

    def _shares_now(self, now: float) -> Sequence[Share]:
        at, known = self._shares
        if not 0 <= now - at < _SHARES_KEPT_SECONDS:
            known = self.quotas.shares(now)
            self._shares = (now, known)
        return known

    def _count_again(self, now: float) -> None:
        with self._lock:
            if self._counting and not self._counting.done():
                return
            if now - self._counted_at >= _KEPT_SECONDS:
                self._counted_at = now
                self._counting = self._pool.submit(self._count)

    def _count(self) -> None:
        self._hours = {usage.account: usage.gpu_hours for usage in self.quotas.of(SERVICE)}
