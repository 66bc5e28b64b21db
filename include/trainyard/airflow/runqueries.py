"""What is asked of Airflow's tables about runs; by columns that have an index, as ten thousand runs need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from trainyard.airflow.cancel import CANCELED
from trainyard.airflow.outcomes import KEY, LEFT_OUT, METRICS, TRACKED, USED, value_of
from trainyard.domain.names import RunKey

# What the ids of all DAGs of trainings are like.
TRAININGS = "training-%"


def canceled_runs() -> Any:
    """Ask for the runs that were canceled, as `outcome_of` does: not those whose program had succeeded already."""
    task, xcom = TaskInstance, XComModel
    # By the columns that have an index.
    train = and_(task.dag_id == xcom.dag_id, task.run_id == xcom.run_id, task.task_id == "train")
    return select(xcom.dag_run_id).where(xcom.key == CANCELED, ~exists().where(train, task.state == "success"))


def steps_of(session: Session, runs: Sequence[DagRun]) -> dict[RunKey, dict[str, str]]:
    """Return run -> step -> its state; a step that was not scheduled yet has none."""
    task = TaskInstance
    columns = (task.dag_id, task.run_id, task.task_id, task.state)
    # By the DAG too: there is an index of both, and none of the run alone.
    those = (task.dag_id.in_({run.dag_id for run in runs}), task.run_id.in_([run.run_id for run in runs]))
    found: dict[RunKey, dict[str, str]] = defaultdict(dict)
    for dag_id, run_id, task_id, state in session.execute(select(*columns).where(*those)):
        if state is not None:
            found[RunKey(dag_id, run_id)][task_id] = str(state)
    return found


def outcomes_of(session: Session, runs: Sequence[DagRun]) -> dict[RunKey, dict[str, Any]]:
    """Return run -> step -> outcome as data; under other keys what else the steps left there."""
    xcom = XComModel
    # As mere lines: as an object each of them would bring its DAG run along.
    columns = (xcom.dag_id, xcom.run_id, xcom.task_id, xcom.key, xcom.value)
    those = (
        xcom.dag_run_id.in_([run.id for run in runs]),
        xcom.key.in_((KEY, CANCELED, USED, LEFT_OUT, METRICS, TRACKED)),
    )
    found: dict[RunKey, dict[str, Any]] = defaultdict(dict)
    for row in session.execute(select(*columns).where(*those)):
        found[key_of(row)][row.task_id if row.key == KEY else row.key] = value_of(row)
    return found


def key_of(row: Any) -> RunKey:
    return RunKey(row.dag_id, row.run_id)


def epoch(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
