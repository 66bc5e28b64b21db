"""Which run a step works for, by the ids that Airflow gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.core.catalogue import Catalogue
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError
from trainyard.workspace.layout import check_run


def run_of(context: Mapping[str, Any], training_id: str, catalogue: Catalogue) -> RunKey:
    """Return the run of a step.

    Run ids are made by the timetable, the front door and the scheduler; the api-server refuses any other, and so does
    every step, since whoever reaches Airflow's database or command line can still choose one. Raise TrainyardError
    C110 for an id that no model has, or that a run of another training has.
    """
    run = RunKey(training_id, context["run_id"])
    check_run(run)
    start = catalogue.starts.get(run.model_id)
    if run.model_id != training_id and (catalogue.get(run.model_id) or (start and start.key != run)):
        message = f"{run.model_id} is the model id of another training"
        raise TrainyardError("C110", message, "Start the run without an id of your own.")
    return run
