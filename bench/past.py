"""Write a past of many runs straight into Airflow's database and the catalogue: `python -m bench.past 10000`.

It looks as the runs themselves would have left it: one record a training, and of every run its DAG run, five task
instances and its outcome; of the newest some still go on. It runs in the environment of Airflow's processes.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from samples import training

from trainyard.core.catalogue import Catalogue, Training
from trainyard.domain.names import RunKey, account_pool, new_model_id
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import State
from trainyard.settings import read_settings
from trainyard.workspace.layout import Workspace

STEPS = ("validate", "stage", "train", "upload", "cleanup")
EXPERIMENTS, NAMES = 100, 40
_MINUTE = 60
# Of twenty runs so many ended so; of the newest ones the last still goes on.
_ENDS = [State.COMPLETED] * 14 + [State.ERROR] * 3 + [State.CANCELED] * 2 + [State.COMPLETED]
_NEWEST, _CHUNK = 600, 1000
_ALL_DONE = dict.fromkeys(STEPS, "success")
_STEPS_OF = {
    State.COMPLETED: _ALL_DONE,
    State.ERROR: {**_ALL_DONE, "train": "failed"},
    State.CANCELED: {**_ALL_DONE, "train": "failed"},
    State.RUNNING: {"validate": "success", "stage": "success", "train": "deferred"},
    State.PENDING: {"validate": "success", "stage": "success", "train": "deferred"},
}
_RUN_STATES = {State.COMPLETED: "success", State.ERROR: "failed", State.CANCELED: "failed"}


@dataclass(frozen=True)
class PastRun:
    """One run to write; every tenth is a second run of the training before it. `number` is its key in the database."""

    number: int
    run_id: str
    training: Training
    state: State
    at: float

    @property
    def first(self) -> bool:
        return self.run_id == self.training.id

    @property
    def over(self) -> bool:
        return self.state.terminal


def write_past(how_many: int, catalogue: Catalogue, workspace: Workspace) -> None:
    """Write the runs, one a minute up to now."""
    runs = list(_runs(how_many, time.time() - how_many * _MINUTE))
    catalogue.add(*(run.training for run in runs if run.first))
    for run in runs:
        if run.state is State.RUNNING:
            started = workspace.run(RunKey(run.training.id, run.run_id)).started
            started.parent.mkdir(parents=True)
            started.touch()
    _insert(runs)


def _runs(how_many: int, since: float) -> Iterator[PastRun]:
    made: Training | None = None
    for number in range(how_many):
        at = since + number * _MINUTE
        if made is None or number % 10:
            made = _training(number, at)
            run_id = made.id
        else:
            run_id = new_model_id()
        yield PastRun(number + 1, run_id, made, _state(number, how_many), at)


def _training(number: int, at: float) -> Training:
    """Half of the trainings belong to an experiment, each experiment's to one stretch of time."""
    experiment = f"experiment-{number // 50 % EXPERIMENTS}" if number % 2 else ""
    made = training(new_model_id(), submitted_at=at, experiment=experiment, name=f"model-{number % NAMES}")
    return replace(made, account="free" if number % 5 == 0 else "default")


def _state(number: int, how_many: int) -> State:
    if number % 20 == 19 and number >= how_many - _NEWEST:
        return State.RUNNING if number % 40 == 19 else State.PENDING
    return _ENDS[number % 20]


def _insert(runs: list[PastRun]) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.models.log import Log  # noqa: F401 - relations are looked up by name
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import insert, text

    tables = (
        (DagRun.__table__, [_dag_run(run) for run in runs]),
        (TaskInstance.__table__, [row for run in runs for row in _task_instances(run)]),
        (XComModel.__table__, [row for run in runs for row in _xcoms(run)]),
    )
    with create_session() as session:
        for table, rows in tables:
            for start in range(0, len(rows), _CHUNK):
                session.execute(insert(table), rows[start : start + _CHUNK])
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("analyze"))  # what its autovacuum does within a minute


def _dag_run(run: PastRun) -> dict[str, Any]:
    at = _moment(run.at)
    return {
        "id": run.number,
        "dag_id": run.training.id,
        "run_id": run.run_id,
        "state": _RUN_STATES.get(run.state, "running"),
        "run_type": "scheduled" if run.first else "manual",
        "logical_date": at,
        "data_interval_start": at,
        "data_interval_end": at,
        "run_after": at,
        "queued_at": at,
        "start_date": at,
        "end_date": _moment(run.at + _MINUTE) if run.over else None,
        "log_template_id": 1,
        "clear_number": 0,
        "conf": {},
    }


def _task_instances(run: PastRun) -> Iterator[dict[str, Any]]:
    states = _STEPS_OF[run.state]
    for at, step in enumerate(STEPS):
        done = states.get(step) in ("success", "failed")
        yield {
            "id": uuid.uuid4(),
            "task_id": step,
            "dag_id": run.training.id,
            "run_id": run.run_id,
            "map_index": -1,
            "state": states.get(step),
            "start_date": _moment(run.at + at) if step in states else None,
            "end_date": _moment(run.at + at + 1) if done else None,
            "duration": 1.0 if done else None,
            "pool": account_pool(run.training.account) if step == "train" else "default_pool",
            "pool_slots": run.training.plan.gpus or 1,
            "try_number": 1,
            "max_tries": 2,
            "operator": "PythonOperator",
        }


def _xcoms(run: PastRun) -> Iterator[dict[str, Any]]:
    from airflow.models.xcom import XComModel

    if run.state is State.CANCELED:
        yield _xcom(run, "validate", "canceled", XComModel.serialize_value("ada"))
    if run.over:
        yield _xcom(run, "train", "outcome", XComModel.serialize_value(_outcome(run).as_dict()))


def _xcom(run: PastRun, step: str, key: str, value: str) -> dict[str, Any]:
    own = {"dag_run_id": run.number, "dag_id": run.training.id, "run_id": run.run_id, "timestamp": _moment(run.at)}
    return {**own, "task_id": step, "map_index": -1, "key": key, "value": value}


def _outcome(run: PastRun) -> Outcome:
    trained = Outcome(exit_code=0, gpu_seconds=40.0, started_at=run.at + 5, finished_at=run.at + 45)
    if run.state is State.COMPLETED:
        return trained
    stated = {"code": "C201", "message": "the training program failed", "hint": "Read its log.", "exit_code": 3}
    return Outcome.from_dict({**trained.as_dict(), **stated})


def _moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


if __name__ == "__main__":
    _settings = read_settings(os.environ)
    write_past(int(sys.argv[1]), Catalogue(Path(_settings.catalogue)), Workspace(Path(_settings.workspace)))
