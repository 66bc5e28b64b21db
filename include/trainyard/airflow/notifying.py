"""Notify people of events of runs: a file in the outbox, which costs a step nothing and fails none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from trainyard.airflow.app import App, current_app
from trainyard.airflow.outcomes import METRICS, xcom_of
from trainyard.airflow.threads import in_thread
from trainyard.core.catalogue import Training
from trainyard.domain.names import RunKey
from trainyard.domain.notification import Event
from trainyard.domain.outcome import Outcome, read_metrics
from trainyard.errors import TrainyardError

log = logging.getLogger(__name__)

_POLL_SECONDS = 2.0


def notify_end(context: Mapping[str, Any], app: App, run: RunKey, ended: Callable[[], Outcome]) -> None:
    """Notify people that a run has ended, with the last values of its metrics; nothing of it fails the step."""

    def notify(training: Training) -> None:
        if not app.notifier.hears(training):
            return
        metrics = read_metrics(xcom_of(context, "upload", METRICS))
        app.notifier.ended(training, run, replace(ended(), metrics=metrics))

    _without_harm(app, run, notify)


def notify_of(app: App, run: RunKey, event: Event, reason: str = "", moment: str = "") -> None:
    """Notify people of something that a run meets once for each `moment`; nothing of it fails the caller."""

    def notify(training: Training) -> None:
        app.notifier.notify(training, app.notifier.about(training, event, run, reason), moment)

    _without_harm(app, run, notify)


async def announce_start(run: RunKey | None, over: asyncio.Event) -> None:
    """Notify people of a run's start once its program has started, unless it is `over` before."""
    with suppress(TrainyardError):  # a triggerer without the service's settings notifies nobody
        app = current_app()
        while run is not None:
            ended = over.is_set()
            if await in_thread(lambda: app.workspace.run(run).has_started):
                await in_thread(notify_of, app, run, Event.STARTED)
                return
            if ended:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _POLL_SECONDS)


def _without_harm(app: App, run: RunKey, notify: Callable[[Training], object]) -> None:
    try:
        if training := app.catalogue.get(run.training_id):
            start = app.catalogue.starts.get(run.model_id)
            notify(app.catalogue.as_named(run, replace(training, owner=start.owner) if start else training))
    except Exception as error:  # noqa: BLE001 - the run goes on, whether somebody hears of it or not
        log.warning("Nobody is notified of this: %s", type(error).__name__)
