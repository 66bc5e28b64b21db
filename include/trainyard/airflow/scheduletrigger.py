"""Watches the schedules, and the runs that were asked for, in the triggerer: no worker is held while nothing is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from airflow.triggers.base import TriggerEvent

from trainyard.airflow.watching import WatchTrigger
from trainyard.core.catalogue import Catalogue
from trainyard.core.schedules import Schedules

# Reported again after this while it is still due: a run that waits for the one before it, or a task that was lost.
_AGAIN_SECONDS = 30.0
# A run that is asked for is made at once. One that is not there after so long was left behind by a process that died,
# or is of a training that Airflow did not know yet.
_LEFT_SECONDS = 3.0


class ScheduleTrigger(WatchTrigger):
    """Fire whenever a schedule has something due, or a run that was asked for is not made, with the ids.

    It says only that there is work; the front door looks for itself. So a restart or a second watcher starts nothing
    twice.
    """

    failing = "The schedules cannot be looked at"

    def __init__(self, catalogue: str, poll_seconds: float, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.poll_seconds = poll_seconds
        self._clock = clock
        self._reported: dict[str, float] = {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        given = {"catalogue": self.catalogue, "poll_seconds": self.poll_seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", given

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever. A trigger that ended would be one that nobody starts again, so no failure ends it."""
        catalogue = Catalogue(Path(self.catalogue))
        while True:
            try:
                due = await asyncio.to_thread(self._due, catalogue)
            except Exception as error:  # noqa: BLE001 - see above; the next look may find everything in order
                self.report(error)
            else:
                self._trouble = ""
                if due:
                    yield TriggerEvent({"due": due})
            await asyncio.sleep(self.poll_seconds)

    def _due(self, catalogue: Catalogue) -> list[str]:
        """Return what is due and was not reported just now."""
        now = self._clock()
        due = [entry.training_id for entry in Schedules(catalogue.folder).all() if entry.is_due(now)]
        due += [left for left, asked in catalogue.starts.pending().items() if now - asked > _LEFT_SECONDS]
        self._reported = {known: reported for known, reported in self._reported.items() if known in due}
        fresh = [each for each in due if now - self._reported.get(each, 0.0) >= _AGAIN_SECONDS]
        self._reported.update(dict.fromkeys(fresh, now))
        return fresh
