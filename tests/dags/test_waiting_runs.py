"""Which running runs the scheduler examines, where it would examine all of them, over and over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from historyworld import add_training, parse_dag, start_run
from historyworld import world as world  # a fixture
from late import Late
from sqlalchemy import select, update

pytestmark = pytest.mark.xdist_group("airflow")

waitingruns = Late("trainyard.airflow.patches.waitingruns")
rows = Late("airflow.models.taskinstance")
runs = Late("airflow.models.dagrun")
_EXAMINED = "get_running_dag_runs_to_examine"
_WAITING = [f"training-0000000{number:02}" for number in range(3)]
_RUN = "training-aaaaaaaa1"
# Seconds ago: far enough in the future for the slowest machine.
_JUST_NOW = -600
_BEFORE = {"validate": "success", "stage": "success"}


@pytest.fixture
def yard(world, monkeypatch):
    """Three runs that wait for GPUs and were examined a moment ago; the scheduler examines two in a loop."""
    monkeypatch.setattr(runs.DagRun, _EXAMINED, runs.DagRun.__dict__[_EXAMINED])
    monkeypatch.setattr(runs.DagRun, "DEFAULT_DAGRUNS_TO_EXAMINE", 2)
    waitingruns.install()
    for name in _WAITING:
        _start(world, name, _JUST_NOW, train="scheduled")
    return world


def _start(world, name, seconds_ago, **steps):
    add_training(world, name, submitted_at=1.7e9)
    parse_dag(world, name)
    start_run(world, name, **{**_BEFORE, **steps})
    _examined(world, name, seconds_ago)


def _examined(world, name, seconds_ago):
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    with world.session() as session:
        session.execute(update(runs.DagRun).where(runs.DagRun.dag_id == name).values(last_scheduling_decision=at))


def _to_be_examined(world):
    with world.session() as session:
        return {run.dag_id for run in runs.DagRun.get_running_dag_runs_to_examine(session=session)}


def test_without_the_patch_those_that_wait_are_examined_in_every_loop(yard):
    as_usual = runs.DagRun.get_running_dag_runs_to_examine.__wrapped__
    with yard.session() as session:
        assert len(as_usual(session=session).all()) == 2


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "deferred", "restarting"])
def test_while_a_step_is_on_its_way_there_is_nothing_to_decide(yard, state):
    _start(yard, _RUN, _JUST_NOW, train=state)
    assert _to_be_examined(yard) == set()


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", None])
def test_a_run_is_examined_however_its_step_has_ended_and_however_many_wait(yard, state):
    _start(yard, _RUN, _JUST_NOW, train=state)
    assert _to_be_examined(yard) == {_RUN}


@pytest.mark.parametrize(("seconds_ago", "found"), [(_JUST_NOW, set()), (10, {_RUN})])
def test_whether_a_retry_is_due_is_asked_every_few_seconds(yard, seconds_ago, found):
    _start(yard, _RUN, seconds_ago, train="up_for_retry")
    assert _to_be_examined(yard) == found


def test_a_run_that_was_never_examined_is(yard):
    _start(yard, _RUN, _JUST_NOW, train="scheduled")
    with yard.session() as session:
        of_run = runs.DagRun.dag_id == _RUN
        session.execute(update(runs.DagRun).where(of_run).values(last_scheduling_decision=None))
    assert _to_be_examined(yard) == {_RUN}


def test_what_was_changed_by_hand_is_seen_after_a_minute(yard):
    _start(yard, _RUN, 61, train="scheduled")
    assert _to_be_examined(yard) == {_RUN}


def test_a_step_that_was_cleared_while_nothing_is_on_its_way_is_seen_at_once(yard):
    with yard.session() as session:
        session.execute(update(rows.TaskInstance).where(rows.TaskInstance.dag_id == _WAITING[1]).values(state=None))
    assert _to_be_examined(yard) == {_WAITING[1]}


def test_a_dag_that_is_no_training_may_have_steps_side_by_side(yard):
    """The operator's own DAGs are examined as Airflow does."""
    other = "nightly-report"
    _register(yard, other)
    with yard.session() as session:
        run = session.scalars(select(runs.DagRun).where(runs.DagRun.dag_id == other)).one()
        assert {step.state for step in run.get_task_instances(session=session)} == {"running", None}
    assert _to_be_examined(yard) == {other}


def _register(world, dag_id):
    """Add a DAG with two steps side by side and a run of which one of them is executed."""
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk import DAG, BaseOperator
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.timetables.base import DataInterval
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with DAG(dag_id, schedule=None, is_paused_upon_creation=False) as dag:
        for name in ("left", "right"):
            BaseOperator(task_id=name)
    dag.fileloc, dag.relative_fileloc = __file__, f"{dag_id}.py"
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with world.session() as session:
        found = [LazyDeserializedDAG.from_dag(dag)]
        update_dag_parsing_results_in_db("trainings", None, found, {}, None, set(), session)
        run = SerializedDagModel.get_dag(dag_id, session=session).create_dagrun(
            run_id="once",
            logical_date=at,
            data_interval=DataInterval.exact(at),
            run_after=at,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.UI,
            state="running",
            session=session,
        )
        run.get_task_instance("left", session=session).state = "running"
    _examined(world, dag_id, _JUST_NOW)
