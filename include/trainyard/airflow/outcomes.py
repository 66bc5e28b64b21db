"""How a step's end becomes the run's outcome: one XCom, and the right kind of Airflow failure."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from trainyard.airflow.failures import StepFailedError, failure_text, success_text
from trainyard.domain.outcome import Outcome
from trainyard.errors import TrainyardError

log = logging.getLogger(__name__)
KEY = "outcome"
# Whether an outcome that another attempt might fix is the last one all the same; for the triggerer alone.
FINAL = "final"
# What a run used whose train step was stopped before it could say so: an XCom of the upload step.
USED = "used"
# What of a run's files the upload step did not store: an XCom of that step.
LEFT_OUT = "left_out"
# The last and best values of a run's metrics: an XCom of that step.
METRICS = "metrics"

# Where a run is tracked besides the service, or why not: an XCom of the cleanup step.
TRACKED = "tracked"


@contextmanager
def outcome_of_step(context: Mapping[str, Any]) -> Iterator[None]:
    """Record why a step failed, then fail it: for good where a person is at fault, else with its retries."""
    try:
        yield
    except TrainyardError as error:
        end_with(context, Outcome.of(error))


def end_with(context: Mapping[str, Any], outcome: Outcome, final: bool = False, last_words: Sequence[str] = ()) -> None:
    """Record an outcome and, unless it is a success, fail the task: for good, or with its retries unless final.

    What went wrong is one block of the step's log. Raise StepFailedError.
    """
    context["ti"].xcom_push(key=KEY, value=outcome.as_dict())
    if outcome.code is None:
        log.info(success_text(outcome))
        return
    for_good = final or not outcome.retried
    text = failure_text(outcome, last_words)
    log.error(text if for_good else f"{text}\nThe step is tried again, unless this was its last try.")
    raise StepFailedError(outcome.code, text, final=for_good)


def xcom_of(context: Mapping[str, Any], step: str, key: str) -> Any:
    """Return what a step left under a key, None where there is nothing."""
    value = context["ti"].xcom_pull(task_ids=step, key=key)
    # What a worker leaves comes back as it was, what triggerer and api-server leave as JSON text.
    with suppress(TypeError, ValueError):
        return json.loads(value)
    return value


def value_of(row: Any) -> Any:
    """Read an XCom from its row in Airflow's table; None for one that cannot be read."""
    from airflow.models.xcom import XComModel

    try:
        return XComModel.deserialize_value(row)
    except Exception:  # noqa: BLE001 - whatever was written there fails the answer about that run alone
        log.warning("An XCom of %s %s cannot be read and is passed over.", row.dag_id, row.run_id)
        return None


def outcome_so_far(context: Mapping[str, Any], steps: list[str]) -> Outcome | None:
    """Return the first failure among steps that have run, else the last success."""
    found = [xcom_of(context, step, KEY) for step in steps]
    outcomes = [Outcome.from_dict(data) for data in found if data]
    return next((outcome for outcome in outcomes if outcome.code), outcomes[-1] if outcomes else None)
