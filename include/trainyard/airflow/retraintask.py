"""The task of the retraining DAG: start what is due, and look at the data of those that train whenever it is new."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from trainyard.airflow.app import current_app
from trainyard.airflow.failures import explained

log = logging.getLogger(__name__)


@explained()
def retrain() -> list[str]:
    """Return the ids of the runs that were started.

    A look that fails is reported to whoever has the schedule and tried again when the next one is due.
    """
    from trainyard.airflow.frontdoor import front_door

    with front_door() as service:
        settled = service.start_due()
        started = list(settled.started)
        for look in settled.looks:
            found = service.report_look(look.training_id, look.due, _seen(look.training_id))
            started += [found] if found else []
    for model_id in started:
        log.info("Started %s.", model_id)
    return started


def _seen(training_id: str) -> Mapping[str, Any]:
    """Look at the data of a training with its own credentials; return its version, or why there is none."""
    from trainyard.errors import TrainyardError
    from trainyard.steps.buckets import version_now

    app = current_app()
    training = app.catalogue.get(training_id)
    if training is None:
        return {"failure": "the training is gone"}
    try:
        app.check_connections(training)
        return {"version": version_now(training.spec, app.data_store(training))}
    except TrainyardError as error:
        log.warning("The data of %s cannot be looked at: %s", training_id, error)
        return {"failure": f"{error.code.code}: {error.message}"}
