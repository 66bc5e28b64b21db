"""Airflow's side of a training, as a program: its database, and workers and triggerers that can be killed.

Reads a request a line from standard input and writes the answer to it, both JSON. Airflow's own parts do the work: its
task runner runs the train step in a process of its own up to the deferral, its tables keep the trigger, and the event
of the trigger ends the step. What is left out is the waiting in between: the scheduler's loop and the triggerer's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from airflowsetup import set_up

_POLL_SECONDS = 0.1
_BEFORE = ("validate", "stage")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what Airflow prints is its log, not an answer
    set_up()
    answers.write('{"said": "ready"}\n')
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"said": _DEEDS[request.pop("do")](**request)}
    except Exception:  # noqa: BLE001 - whatever it is, the test that asked has to hear of it
        return {"failed": traceback.format_exc()}


def submit(training: dict[str, Any], version: str) -> None:
    """Make a run of a training whose steps before `train` have succeeded: it holds a version of its bucket's data."""
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    from trainyard.airflow.dag import training_dag
    from trainyard.core.catalogue import Training
    from trainyard.domain.names import RunKey
    from trainyard.settings import read_settings
    from trainyard.workspace.datasets import DatasetCache
    from trainyard.workspace.layout import Workspace

    dag = training_dag(Training.from_dict(training))
    run_id = dag.dag_id
    dag.fileloc, dag.relative_fileloc = f"/{run_id}.py", f"{run_id}.py"
    _TRAININGS[run_id] = training
    key, workspace = RunKey.first_of(run_id), Workspace(Path(read_settings(os.environ).workspace))
    workspace.run(key).root.mkdir(parents=True)
    dataset = workspace.dataset(Training.from_dict(training).spec.data) / version
    for folder in (dataset, dataset.parent / ".cache"):
        folder.mkdir(parents=True, exist_ok=True)
    DatasetCache(workspace).hold(dataset, str(key))
    with create_session() as session:
        found = [LazyDeserializedDAG.from_dag(dag)]
        update_dag_parsing_results_in_db("trainings", None, found, {}, None, set(), session)
    with create_session() as session:
        _start(session, run_id)


def _start(session: Any, run_id: str) -> None:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.timetables.base import DataInterval
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    at = datetime.now(UTC)
    run = SerializedDagModel.get_dag(run_id, session=session).create_dagrun(
        run_id=run_id,
        logical_date=at,
        data_interval=DataInterval.exact(at),
        run_after=at,
        run_type=DagRunType.SCHEDULED,
        triggered_by=DagRunTriggeredByType.TIMETABLE,
        state="running",
        session=session,
    )
    for step in run.get_task_instances(session=session):
        step.state = "success" if step.task_id in _BEFORE else None


def work(run_id: str, dies: bool) -> int:
    """Queue the train step and run it in a process of its own; return its pid.

    One that `dies` is killed with -9 at the moment in which the cluster has said that the pod is there.
    """
    from airflow.utils.session import create_session

    with create_session() as session:
        _queue(session, _train(session, run_id))
    return _forked(lambda: _run_train(run_id, dies))


def _queue(session: Any, train: Any) -> None:
    train.task = _serialized_step(session, train)
    assert train.dag_run.schedule_tis([train], session=session) == 1, f"the train step is {train.state}"
    session.flush()
    session.refresh(train)
    train.state = "queued"


def _run_train(run_id: str, dies: bool) -> None:
    from airflow.sdk.api.datamodels._generated import TaskInstance
    from airflow.sdk.execution_time.supervisor import run_task_in_process
    from airflow.utils.session import create_session

    from trainyard.airflow.dag import training_dag
    from trainyard.core.catalogue import Training

    if dies:
        _die_after_creating()
    with create_session() as session:
        row = _train(session, run_id)
        names = ("task_id", "dag_id", "run_id", "try_number", "map_index")
        ids = {name: UUID(str(getattr(row, name))) for name in ("id", "dag_version_id")}
        train = TaskInstance(**ids, **{name: getattr(row, name) for name in names})
    run_task_in_process(ti=train, task=training_dag(Training.from_dict(_TRAININGS[run_id])).get_task("train"))


def _die_after_creating() -> None:
    from trainyard.cluster.podclient import TrainingPods

    create = TrainingPods.create

    def dying(self: TrainingPods, body: dict[str, Any]) -> Any:
        create(self, body)
        os.kill(os.getpid(), signal.SIGKILL)

    TrainingPods.create = dying  # type: ignore[method-assign]


def lose(run_id: str) -> None:
    """Do what the scheduler does with a step whose worker gives no sign of life any more."""
    from airflow.utils.session import create_session

    with create_session() as session:
        train = _train(session, run_id)
        train.task = _serialized_step(session, train)
        train.handle_failure("the worker is gone", session=session)


def _serialized_step(session: Any, train: Any) -> Any:
    from airflow.models.serialized_dag import SerializedDagModel

    return SerializedDagModel.get_dag(train.dag_id, session=session).get_task("train")


def await_end(run_id: str) -> int:
    """Wait for the pod of a step that is deferred, in a process of its own; return its pid."""
    return _forked(lambda: asyncio.run(_trigger(run_id)))


async def _trigger(run_id: str) -> None:
    from airflow.models.trigger import Trigger
    from airflow.sdk._shared.module_loading import import_string

    trigger_id, path, arguments = _kept(run_id)
    trigger = import_string(path)(**arguments)
    waiting = asyncio.ensure_future(anext(trigger.run()))
    while not waiting.done():
        await asyncio.wait([waiting], timeout=_POLL_SECONDS)
        if not waiting.done() and _state(run_id)[0] != "deferred":
            waiting.cancel()
            return await trigger.on_kill()  # as the triggerer does when somebody ended the step
    event = waiting.result()
    _last_event(run_id).write_text(json.dumps(event.xcoms))
    return Trigger.submit_event(trigger_id, event)


def _last_event(run_id: str) -> Path:
    return Path(os.environ["AIRFLOW_HOME"]) / f"{run_id}.event"


def _kept(run_id: str) -> tuple[int, str, dict[str, Any]]:
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    with create_session() as session:
        row = session.get(Trigger, _train(session, run_id).trigger_id)
        return row.id, row.classpath, row.kwargs


def state(run_id: str) -> dict[str, Any]:
    """Tell the train step's state, how many tries it had, its outcome, and what the last event of a trigger brought.

    Airflow keeps no outcome of a try that is followed by another.
    """
    now, tries = _state(run_id)
    event = _last_event(run_id)
    stated = json.loads(event.read_text()) if event.exists() else {}
    return {"state": now, "tries": tries, "outcome": _outcome(run_id), "event": stated.get("outcome")}


def _state(run_id: str) -> tuple[str | None, int]:
    from airflow.utils.session import create_session

    with create_session() as session:
        train = _train(session, run_id)
        return train.state, train.try_number


def _outcome(run_id: str) -> dict[str, Any] | None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from trainyard.airflow.outcomes import outcome_so_far

    def pulled(task_ids: str, key: str) -> Any:
        those = (XComModel.run_id == run_id, XComModel.task_id == task_ids, XComModel.key == key)
        with create_session() as session:
            return session.scalar(select(XComModel.value).where(*those))

    found = outcome_so_far({"ti": SimpleNamespace(xcom_pull=pulled)}, ["train"])
    return found.as_dict() if found else None


def cancel(run_id: str) -> None:
    from trainyard.airflow.cancel import cancel as canceled

    canceled(run_id, run_id, "ada")


def waits(run_id: str) -> str:
    """Say what the run's pod waits for, as the api-server does."""
    from trainyard.airflow.app import current_app
    from trainyard.domain.names import RunKey

    return current_app().service.pod_waits(RunKey.first_of(run_id))


def ended(pid: int) -> int | None:
    """Tell the exit code of a process (a negative signal where one killed it), None while it runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _forked(action: Callable[[], Any]) -> int:
    if pid := os.fork():
        return pid
    from airflow import settings

    settings.engine.dispose(close=False)
    try:
        action()
    except BaseException:  # noqa: BLE001 - the process ends here, not in the loop of the one it was forked from
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _train(session: Any, run_id: str) -> Any:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    those = (TaskInstance.run_id == run_id, TaskInstance.task_id == "train")
    return session.scalars(select(TaskInstance).where(*those)).one()


_TRAININGS: dict[str, dict[str, Any]] = {}
_DEEDS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (submit, work, lose, await_end, state, cancel, waits, ended)
}

if __name__ == "__main__":
    main()
