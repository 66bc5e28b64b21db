"""The watchdogs of one run, as its trigger has them: what they find is reported; what stops a run is its outcome."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from trainyard.airflow.app import App, current_app
from trainyard.airflow.notifying import tell_of
from trainyard.core.catalogue import Training
from trainyard.domain.metricrules import rules_of
from trainyard.domain.names import RunKey
from trainyard.domain.notification import Event
from trainyard.domain.watchdogs import STOPPED, Then, Watch
from trainyard.workspace.stopping import mark_stopped
from trainyard.workspace.watching import kept, look

log = logging.getLogger(__name__)


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
        """Look at the run once and tell of what is new; return why it is to be stopped, empty where it is not.

        It goes on saying so until the run has ended: a triggerer may die before it has stopped anything.
        """
        spec, folder = self.training.spec, self.app.workspace.run(self.run)
        for alarm in look(folder, self.watch, rules_of(spec.metrics, spec.metric_patterns)):
            log.warning("A watchdog: %s", alarm.reason)
            if alarm.then is Then.WARN:
                tell_of(self.app, self.run, Event.WARNING, alarm.reason, alarm.kind)
        stops = [alarm.reason for alarm in kept(folder) if alarm.then is Then.STOP]
        if stops:
            mark_stopped(folder, f"stopped by a watchdog: {stops[0]}", STOPPED)
        return stops[0] if stops else ""
