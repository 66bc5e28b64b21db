"""Which runs the scheduler looks at when there are more than it looks at in one loop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from historyworld import add_training, parse_dag, start_run
from historyworld import world as world  # a fixture
from late import Late
from sqlalchemy import select, update

pytestmark = pytest.mark.xdist_group("airflow")

endedfirst = Late("trainyard.airflow.patches.endedfirst")
models = Late("airflow.models")
rows = Late("airflow.models.taskinstance")
runs = Late("airflow.models.dagrun")
_EXAMINED = "get_running_dag_runs_to_examine"
_IDS = [f"training-0000000{number:02}" for number in range(4)]


@pytest.fixture
def yard(world, monkeypatch):
    """Four runs, looked at one after the other, of which the scheduler now looks at one."""
    monkeypatch.setattr(runs.DagRun, _EXAMINED, runs.DagRun.__dict__[_EXAMINED])
    monkeypatch.setattr(runs.DagRun, "DEFAULT_DAGRUNS_TO_EXAMINE", 1)
    endedfirst.install()
    for number, name in enumerate(_IDS):
        add_training(world, name, submitted_at=1.7e9)
        parse_dag(world, name)
        start_run(world, name, validate="running")
        _change(world, runs.DagRun, name, last_scheduling_decision=_minute(number))
    return world


def _minute(number):
    return datetime.now(UTC) - timedelta(minutes=10 - number)


def _change(yard, model, name, *which, **values):
    with yard.session() as session:
        session.execute(update(model).where(model.dag_id == name, *which).values(**values))


def _ends(yard, name, minute):
    step = rows.TaskInstance
    _change(yard, step, name, step.task_id == "validate", state="success", end_date=_minute(minute))


def _looked_at(yard):
    with yard.session() as session:
        return [run.dag_id for run in runs.DagRun.get_running_dag_runs_to_examine(session=session)]


def test_where_no_step_has_ended_it_is_the_one_that_has_waited_for_longest(yard):
    assert _looked_at(yard) == [_IDS[0]]


def test_a_run_of_which_a_step_has_ended_goes_before(yard):
    _ends(yard, _IDS[2], 5)
    assert _looked_at(yard) == [_IDS[2]]


def test_one_that_was_looked_at_since_does_not(yard):
    _ends(yard, _IDS[2], 1)
    assert _looked_at(yard) == [_IDS[0]]


def test_a_paused_one_is_left_as_it_is(yard):
    _ends(yard, _IDS[2], 5)
    _change(yard, models.DagModel, _IDS[2], is_paused=True)
    assert _looked_at(yard) == [_IDS[0]]
    with yard.session() as session:
        assert None not in session.scalars(select(runs.DagRun.last_scheduling_decision)).all()
