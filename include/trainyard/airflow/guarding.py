"""The watchdogs of one run, as its trigger has them: what they find is reported; what stops a run is its outcome."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainyard.airflow.app import App, current_app
from trainyard.airflow.notifying import notify_of
from trainyard.airflow.threads import in_thread
from trainyard.core.catalogue import Training
from trainyard.domain.metricrules import rules_of
from trainyard.domain.names import RunKey
from trainyard.domain.notification import Event
from trainyard.domain.watchdogs import STOPPED, Then, Watch
from trainyard.workspace.stopping import mark_stopped
from trainyard.workspace.watching import kept, look

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

log = logging.getLogger(__name__)

WATCH_SECONDS = 15.0


@dataclass(frozen=True)
class Guard:
    app: App
    run: RunKey
    training: Training
    watch: Watch

    @classmethod
    def of_run(cls, run: RunKey | None) -> Guard | None:
        """Return what watches a run; None where neither its manifest nor its account asks for anything."""
        app = current_app()
        training = app.catalogue.get(run.training_id) if run else None
        if run is None or training is None:
            return None
        watch = app.watch_over(training)
        return cls(app, run, training, watch) if watch.on else None

    def look(self) -> str:
        """Check the run once and report what is new; return why it is to be stopped, empty where it is not.

        It goes on saying so until the run has ended: a triggerer may die before it has stopped anything.
        """
        spec, folder = self.training.spec, self.app.workspace.run(self.run)
        for alarm in look(folder, self.watch, rules_of(spec.metrics, spec.metric_patterns)):
            log.warning("A watchdog: %s", alarm.reason)
            if alarm.then is Then.WARN:
                notify_of(self.app, self.run, Event.WARNING, alarm.reason, alarm.kind)
        stops = [alarm.reason for alarm in kept(folder) if alarm.then is Then.STOP]
        if stops:
            mark_stopped(folder, f"stopped by a watchdog: {stops[0]}", STOPPED)
        return stops[0] if stops else ""


async def stopped_by_watchdog(run: RunKey | None, shown: Logger) -> bool:
    """Report alarms of a run until one stops it; say whether one does, which is no where nothing is watched.

    What fails here is `shown` in the run's log, and leaves the run alone.
    """
    trouble = ""
    try:
        guard = await in_thread(Guard.of_run, run)
    except Exception as error:  # noqa: BLE001 - a triggerer without the service's settings still waits for pods
        shown.warning("The run cannot be watched: %s", type(error).__name__)
        return False
    while guard is not None:
        try:
            if reason := await in_thread(guard.look):
                shown.error("A watchdog stops the run: %s", reason)
                return True
        except Exception as error:  # noqa: BLE001 - a watchdog that fails leaves the run alone
            if str(error) != trouble:
                shown.warning("The run cannot be watched: %s", type(error).__name__)
            trouble = str(error)
        await asyncio.sleep(WATCH_SECONDS)
    return False
