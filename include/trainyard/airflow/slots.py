"""Let a run that was triggered with another size take as many GPUs of its account's pool as that size has."""

from __future__ import annotations

from typing import Any

from trainyard.domain.hyperparameters import SIZE
from trainyard.domain.names import is_model_id

_TASK = "train"


def follow_size(task_instance: Any, dag_run: Any) -> None:
    """Set pool and slots of a train task by its run's own size.

    Airflow calls this in the scheduler whenever it makes or clears a task instance, in a transaction that must not be
    disturbed: what is needed is read from the DAG's form alone, and what is not as expected leaves the task as it is.
    """
    given = getattr(dag_run, "conf", None)
    if task_instance.task_id != _TASK or not isinstance(given, dict) or not is_model_id(task_instance.dag_id):
        return
    from trainyard.airflow.form import pool_of

    form = task_instance.task.dag.params
    found = pool_of(form.get_param(SIZE).schema, given.get(SIZE)) if SIZE in form else None
    if found:
        task_instance.pool, task_instance.pool_slots = found
