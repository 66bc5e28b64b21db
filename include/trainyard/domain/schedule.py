"""When a training is trained again: by a cron in a time zone, or whenever its data is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo


class Overlap(StrEnum):
    """What becomes of a scheduled run that is due while the one before it is still going."""

    SKIP = "skip"
    WAIT = "wait"


@dataclass(frozen=True)
class Schedule:
    """Either `cron` (five fields, in a time zone) or `every_seconds` between two looks at the training data.

    `until` is in seconds since the epoch; nothing is due at that moment or later. With `point` the best one of the
    training's search is trained again.
    """

    cron: str = ""
    timezone: str = "UTC"
    every_seconds: int = 0
    until: float | None = None
    overlap: Overlap = Overlap.SKIP
    point: str = ""

    def __str__(self) -> str:
        return "new data" if self.on_new_data else f"{self.cron} {self.timezone}"

    @property
    def on_new_data(self) -> bool:
        return self.every_seconds > 0

    def next_after(self, moment: float) -> float | None:
        """Return when it is due next after a moment, in seconds since the epoch; None when it never is again."""
        found = self._next_look(moment) if self.on_new_data else self._next_tick(moment)
        return None if found is None or self.is_over(found) else found

    def is_over(self, moment: float) -> bool:
        return self.until is not None and moment >= self.until

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "overlap": self.overlap.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schedule:
        """Read a schedule back; keys this version does not know are dropped."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        return cls(**{**known, "overlap": Overlap(known.get("overlap", Overlap.SKIP))})

    def _next_look(self, moment: float) -> float:
        return (moment // self.every_seconds + 1) * self.every_seconds

    def _next_tick(self, moment: float) -> float | None:
        """Find the next moment at which the clocks of the time zone show what the cron says.

        In the night of a change, an hour that is left out still has its runs, moved by the change, and of an hour that
        comes twice a fixed time of day counts once; a cron for every hour goes on hour by hour.
        """
        from croniter import CroniterBadDateError, croniter

        zone, after = ZoneInfo(self.timezone), datetime.fromtimestamp(moment, UTC)
        clock = _clock(after, zone)
        # What was left out is moved: at 3:10 the run of 2:30 is still to come, at 3:30.
        ticks = croniter(self.cron, clock - _left_out(after, zone))
        try:
            if ticks.expanded[_HOUR] == ["*"]:
                found = after + (croniter(self.cron, clock).get_next(datetime) - clock)
                if found - after <= timedelta(hours=1) and croniter.match(self.cron, _clock(found, zone)):
                    return found.timestamp()
            while (due := ticks.get_next(datetime).replace(tzinfo=zone).timestamp()) <= moment:
                pass
        except CroniterBadDateError:
            return None
        return due


@dataclass(frozen=True)
class Progress:
    """How far a schedule has come: all that was due up to `settled` is dealt with.

    `waiting` was due while a scheduled run was going, and starts when that one has ended. Moments are in seconds since
    the epoch.
    """

    settled: float
    waiting: float | None = None
    paused: bool = False
    ended: bool = False

    def next_time(self, schedule: Schedule, now: float) -> float | None:
        """Return when the next run, or look at the data, is due; None while nothing will be."""
        if self.paused or self.ended:
            return None
        return self.waiting or schedule.next_after(max(self.settled, now))

    def is_due(self, schedule: Schedule, now: float) -> bool:
        if self.paused or self.ended:
            return False
        following = schedule.next_after(self.settled)
        return self.waiting is not None or (following is not None and following <= now)

    def settle(self, schedule: Schedule, now: float, going: bool, late_seconds: float) -> tuple[Progress, float | None]:
        """Deal with all that is due; return the new progress and what is to start, at most one.

        What should have started more than `late_seconds` ago is dropped, not made up for: nothing ran then.
        """
        settled = replace(self, settled=max(self.settled, now), waiting=None)
        if self.paused or self.ended:
            return settled, None
        due = self._newest_due(schedule, now, late_seconds) or self.waiting
        if due is None or not going:
            return settled, due
        return replace(settled, waiting=due if schedule.overlap is Overlap.WAIT else None), None

    def _newest_due(self, schedule: Schedule, now: float, late_seconds: float) -> float | None:
        newest, found = None, schedule.next_after(max(self.settled, now - late_seconds))
        while found is not None and found <= now:
            newest, found = found, schedule.next_after(found)
        return newest


_HOUR = 1


def _clock(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _left_out(moment: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much the clocks of the time zone were put forward in the day before a moment."""
    day = timedelta(days=1)
    return max(_clock(moment, zone) - _clock(moment - day, zone) - day, timedelta())
