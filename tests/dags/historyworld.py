"""Airflow's database with trainings, their runs and what the steps of these left, as scheduler and workers leave it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from late import Late
from samples import MODEL_ID, training
from sqlalchemy import select

from trainyard.core.catalogue import Catalogue
from trainyard.domain.outcome import Outcome

bundles = Late("airflow.models.dagbundle")
dags = Late("trainyard.airflow.dag")
histories = Late("trainyard.airflow.history")
runs = Late("airflow.models.dagrun")
rows = Late("airflow.models.taskinstance")
serialized = Late("airflow.models.serialized_dag")
xcoms = Late("airflow.models.xcom")
outcomes = Late("trainyard.airflow.outcomes")

TRAINED = Outcome(None, exit_code=0, gpu_seconds=40.0, started_at=1.0, finished_at=11.0)
ALL_STEPS = dict.fromkeys(("validate", "stage", "train", "upload", "cleanup"), "success")


@pytest.fixture
def world(database, tmp_path):
    """Airflow's database, a catalogue, and the history over both; `started` is what the workspace would say."""
    there = SimpleNamespace(catalogue=Catalogue(tmp_path / "catalogue"), session=database, started={})
    there.history = histories.AirflowHistory(there.catalogue, there.started.get)
    with database() as session:
        session.add(bundles.DagBundleModel(name="trainings"))
    return there


def add_training(world, training_id=MODEL_ID, **changes):
    there = training(training_id, **changes)
    world.catalogue.add(there)
    return there


def parse_dag(world, training_id=MODEL_ID):
    """Let Airflow know the training's DAG, as its dag-processor does."""
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    dag = dags.training_dag(world.catalogue.get(training_id))
    dag.fileloc, dag.relative_fileloc = str(world.catalogue.record_path(training_id)), f"{training_id}.py"
    with world.session() as session:
        found = [LazyDeserializedDAG.from_dag(dag)]
        update_dag_parsing_results_in_db("trainings", None, found, {}, None, set(), session)


def start_run(world, training_id=MODEL_ID, run_id=None, days=1, **steps):
    """Create a run as the scheduler does, with the states of its steps; a later one is some days after the first."""
    from airflow.timetables.base import DataInterval
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    first = run_id is None
    at = datetime.fromtimestamp(world.catalogue.get(training_id).submitted_at, UTC) + timedelta(
        days=0 if first else days
    )
    with world.session() as session:
        dag = serialized.SerializedDagModel.get_dag(training_id, session=session)
        run = dag.create_dagrun(
            run_id=run_id or training_id,
            logical_date=at,
            data_interval=DataInterval.exact(at),
            run_after=at,
            run_type=DagRunType.SCHEDULED if first else DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TIMETABLE if first else DagRunTriggeredByType.UI,
            state="running",
            session=session,
        )
        for step in run.get_task_instances(session=session):
            step.state = steps.get(step.task_id)
        run.queued_at = at


def end_run(world, run_id=MODEL_ID, state="success", training_id=None, **outcomes):
    """End a run; its training is to be given where several trainings have a run of this id."""
    of_training = [runs.DagRun.dag_id == training_id] * (training_id is not None)
    with world.session() as session:
        run = session.scalars(select(runs.DagRun).where(runs.DagRun.run_id == run_id, *of_training)).one()
        run.state, run.end_date = state, datetime(2026, 1, 2, tzinfo=UTC)
        for task_id, outcome in outcomes.items():
            xcoms.XComModel.set(
                "outcome", outcome.as_dict(), dag_id=run.dag_id, task_id=task_id, run_id=run_id, session=session
            )


def mark_canceled(world, run_id):
    """Leave the mark of a cancel that came in the very moment in which the program ended."""
    place = {"dag_id": run_id, "task_id": "validate", "run_id": run_id}
    with world.session() as session:
        xcoms.XComModel.set("canceled", "grace", **place, session=session)


def leave_xcom(world, value, key="outcome", task_id="train", training_id=MODEL_ID, run_id=None):
    """Leave an XCom of any value, as whoever reaches Airflow's API or database can."""
    place = {"dag_id": training_id, "task_id": task_id, "run_id": run_id or training_id}
    with world.session() as session:
        xcoms.XComModel.set(key, json.dumps(value), **place, serialize=False, session=session)


def step_states(world, run_id=MODEL_ID, training_id=None):
    task = rows.TaskInstance
    of_training = [task.dag_id == training_id] * (training_id is not None)
    with world.session() as session:
        return dict(session.execute(select(task.task_id, task.state).where(task.run_id == run_id, *of_training)).all())


HOSTILE_VALUES = [
    "text",
    ["code", "C201"],
    7,
    True,
    {"gpu_seconds": "a lot", "exit_code": [], "started_at": "yesterday", "code": {}},
    {"gpu_seconds": 1e308, "started_at": 1e308, "finished_at": 1e308},
    {"gpu_seconds": float("nan"), "started_at": float("nan"), "finished_at": float("inf")},
    {"gpu_seconds": -1e9, "started_at": -5, "finished_at": -7.5},
    {"gpu_seconds": True, "started_at": False},
    {"code": "C999", "message": None, "hint": 7},
    {"code": None, "message": ["a"], "gpu_seconds": None},
    {"__class__": "os.system", "__data__": "true"},
    {"__classname__": "os.system", "__data__": "true", "__version__": 1},
]


def pulled(yard, task_ids, key, run_id=MODEL_ID):
    """Return an XCom as a worker gets it."""
    left = xcoms.XComModel
    with yard.session() as session:
        those = (left.run_id == run_id, left.task_id == task_ids, left.key == key)
        return session.scalar(select(left.value).where(*those))
