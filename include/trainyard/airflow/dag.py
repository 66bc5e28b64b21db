"""A training's DAG: validate >> stage >> train >> upload >> cleanup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, get_parsing_context, task

from trainyard.airflow import tasks
from trainyard.airflow.app import current_app
from trainyard.airflow.dagdocs import display_name, documentation
from trainyard.airflow.failures import RetryUnlessFinal
from trainyard.airflow.runparameters import form_of
from trainyard.airflow.timetable import TrainingTimetable
from trainyard.core.catalogue import Training
from trainyard.domain.names import checks_pool, cleanups_pool, transfers_pool
from trainyard.domain.search import MAX_TRIALS

# Trainings start at their submission; any fixed day before that will do, and a fixed one keeps the DAG's hash still.
_START = datetime(2017, 11, 1, tzinfo=UTC)
_TAG_LIMIT = 100

# An infrastructure fault is tried again soon, then later, for more than a minute in all: a store that is started again
# is back by then. A person's fault is never tried again (see tasks.py).
_RETRIES = {
    "retries": 4,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
}
# The nearer a run is to its end, the sooner its next step: by default all runs of a burst would be validated and staged
# before the first gets its GPU, and results would be stored last (100 runs on 4 GPUs: the first was done after 37 s
# instead of minutes). A check goes before all: it is quick, has room of its own, and says at once what is wrong.
_ORDER = {"validate": 10, "cleanup": 5, "upload": 4, "train": 3, "stage": 2}


def registered_dag(training_id: str) -> DAG | None:
    """Build the DAG of a training from its record in the catalogue; None for one that was deleted meanwhile."""
    training = current_app().catalogue.get(training_id)
    return None if training is None else training_dag(training)


def training_dag(training: Training) -> DAG:
    """Put the steps of a training together.

    upload and cleanup are teardowns: they run whatever happened before, and the run still counts as failed. A failed
    upload fails the run through cleanup, which then fails too, since the results are still there: were upload itself
    to count, Airflow would no longer count train.
    """
    with DAG(
        training.id,
        dag_display_name=display_name(training),
        description=training.spec.description or None,
        schedule=TrainingTimetable(training.id, training.submitted_at, str(training.spec.schedule or "")),
        start_date=_START,
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=MAX_TRIALS,  # the pools of its account decide, and of a search its controller
        default_args={**_RETRIES, "weight_rule": "absolute"},
        tags=_tags(training),
        doc_md=documentation(training),
        params={},
    ) as dag:
        validate = _step(tasks.validate, training, pool=checks_pool(training.account))
        stage = _step(tasks.stage, training, pool=transfers_pool(training.account))
        upload = _step(tasks.upload, training, pool=transfers_pool(training.account)).as_teardown()
        cleanup = _step(tasks.cleanup, training, pool=cleanups_pool(training.account)).as_teardown(
            on_failure_fail_dagrun=True
        )
        validate >> stage >> _train(training) >> upload >> cleanup
    # After the tasks: each takes a copy of what is there before it, and none of them looks at it.
    dag.params.update(form_of(training))
    return dag


def _step(function: Any, training: Training, **options: Any) -> Any:
    name = function.__name__
    options = {"task_id": name, "priority_weight": _ORDER[name], "retry_policy": RetryUnlessFinal(), **options}
    return task(**options)(function)(training.id)


def _train(training: Training) -> BaseOperator:
    """Make the train task; a process that runs one of the others gets a placeholder, which spares it the imports.

    Kubernetes' client costs 0.7 to 0.9 s of CPU, more than any of the other steps.
    """
    if get_parsing_context().task_id not in (None, "train"):
        return BaseOperator(task_id="train", priority_weight=_ORDER["train"])
    from trainyard.airflow.operator import TrainOperator

    return TrainOperator(training=training, task_id="train", priority_weight=_ORDER["train"])


def _tags(training: Training) -> list[str]:
    tags = [f"framework:{training.spec.framework}", f"account:{training.account}"]
    if training.spec.author and str(training.spec.author):
        tags.append(f"author:{training.spec.author}")
    if training.experiment:
        tags.append(f"experiment:{training.experiment}")
    return [tag[:_TAG_LIMIT] for tag in tags]
