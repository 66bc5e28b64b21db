"""How many GPU hours an account means to use in a period, and when people hear of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

# Percent of a budget; the last one is all of it.
THRESHOLDS = (80, 100)


class Per(StrEnum):
    """The period of a budget, by UTC's calendar; weeks begin on Mondays."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Budget:
    """GPU hours in a period. It is no limit: runs go on beyond it."""

    gpu_hours: float
    per: Per = Per.MONTH

    def since(self, now: float) -> float:
        """Return when the period began that a moment is in; both in seconds since the epoch."""
        day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        back = {Per.DAY: 0, Per.WEEK: day.weekday(), Per.MONTH: day.day - 1}[self.per]
        return (day - timedelta(days=back)).timestamp()

    def reached(self, used_hours: float) -> tuple[int, ...]:
        """Return the thresholds that so many hours have reached, in percent."""
        return tuple(percent for percent in THRESHOLDS if used_hours * 100 >= percent * self.gpu_hours)
