"""A step that is started although its run was canceled: the scheduler had chosen it at that very moment."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
from historyworld import add_training, end_run, mark_canceled, parse_dag, pulled, start_run
from historyworld import world as world  # a fixture
from late import Late
from samples import MODEL_ID, RUN
from sqlalchemy import delete, select, update

from trainyard.domain.outcome import Outcome
from trainyard.domain.states import State
from trainyard.errors import TrainyardError
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

canceled = Late("trainyard.airflow.cancel")
rows = Late("airflow.models.taskinstance")
runs = Late("airflow.models.dagrun")
tasks = Late("trainyard.airflow.tasks")
xcoms = Late("airflow.models.xcom")
_STEPS = {
    "validate": {"validate": "queued"},
    "stage": {"validate": "success", "stage": "queued"},
    "train": {"validate": "success", "stage": "success", "train": "queued"},
}


@pytest.fixture(params=_STEPS)
def yard(world, request):
    """A run, one step of which is queued."""
    add_training(world)
    parse_dag(world)
    start_run(world, **_STEPS[request.param])
    world.step = request.param
    return world


def _starts(yard):
    """Start the queued step as a worker does, which first clears what an earlier try of it has left."""
    with yard.session() as session:
        session.execute(delete(xcoms.XComModel).where(*_of(yard.step)))
        clear_number = session.scalar(select(runs.DagRun.clear_number).where(runs.DagRun.run_id == MODEL_ID))
    canceled.check_not_canceled(_context(yard, clear_number), forget=lambda _: _forget(yard))


def _context(yard, clear_number=0):
    task = SimpleNamespace(task_id=yard.step, xcom_pull=partial(pulled, yard))
    return {"ti": task, "dag_run": SimpleNamespace(dag_id=MODEL_ID, run_id=MODEL_ID, clear_number=clear_number)}


def _of(step):
    left = xcoms.XComModel
    return left.run_id == MODEL_ID, left.task_id == step


def _forget(yard):
    with yard.session() as session:
        session.execute(delete(xcoms.XComModel).where(*_of("train"), xcoms.XComModel.key == "canceled"))


def _cleared(yard, **steps):
    """Clear steps of the run, all if none is named, as Airflow does: what they left stays until they start."""
    with yard.session() as session:
        session.scalar(select(runs.DagRun).where(runs.DagRun.run_id == MODEL_ID)).clear_number += 1
        those = [rows.TaskInstance.task_id.in_(steps)] if steps else []
        session.execute(
            update(rows.TaskInstance).where(rows.TaskInstance.run_id == MODEL_ID, *those).values(state=None)
        )
    end_run(yard, state="queued")


def _set_state(yard, step, state):
    task = rows.TaskInstance
    with yard.session() as session:
        session.execute(update(task).where(task.run_id == MODEL_ID, task.task_id == step).values(state=state))


def _marks(yard):
    with yard.session() as session:
        return list(session.scalars(select(xcoms.XComModel.key).where(xcoms.XComModel.run_id == MODEL_ID)))


def test_a_step_of_a_run_that_nobody_canceled_goes_on(yard):
    _starts(yard)


def test_it_refuses_and_the_run_is_a_canceled_one(yard):
    yard.history.cancel(yard.history.find(MODEL_ID), "grace")
    with pytest.raises(TrainyardError, match="canceled by grace") as refusal:
        _starts(yard)
    assert refusal.value.code.code == "C204"
    end_run(yard, state="failed")
    run = yard.history.find(MODEL_ID)
    assert (run.state, run.outcome.message) == (State.CANCELED, "canceled by grace")
    assert yard.history.page(None, 10, 0, frozenset({State.CANCELED}))[1] == 1


def test_it_has_one_mark(yard):
    yard.history.cancel(yard.history.find(MODEL_ID), "grace")
    assert _marks(yard) == ["canceled"]


def test_a_run_that_is_cleared_afterwards_starts_anew_and_ends_as_it_ends_then(yard):
    yard.history.cancel(yard.history.find(MODEL_ID), "grace")
    _cleared(yard)
    yard.step = "validate"
    _starts(yard)
    assert _marks(yard) == []
    wrong = Outcome("C103", "the secret is wrong", "")
    _set_state(yard, "validate", "failed")
    end_run(yard, state="failed", validate=wrong)
    assert yard.history.find(MODEL_ID).outcome.code == "C103"


def test_one_that_is_cleared_and_canceled_again_has_one_mark_that_holds(yard):
    yard.history.cancel(yard.history.find(MODEL_ID), "grace")
    _cleared(yard)
    yard.history.cancel(yard.history.find(MODEL_ID), "ada")
    assert _marks(yard) == ["canceled"]
    yard.step = "validate"
    with pytest.raises(TrainyardError, match="canceled by ada"):
        _starts(yard)


def test_one_whose_results_alone_are_stored_again_stays_canceled(yard):
    yard.history.cancel(yard.history.find(MODEL_ID), "grace")
    _cleared(yard, upload="", cleanup="")
    assert canceled.who_canceled(_context(yard, clear_number=1)) == "grace"
    end_run(yard, state="failed")
    assert yard.history.find(MODEL_ID).outcome.message == "canceled by grace"


def test_the_mark_of_an_earlier_version_holds(yard):
    mark_canceled(yard, MODEL_ID)
    assert canceled.who_canceled(_context(yard)) == "grace"
    end_run(yard, state="failed")
    assert yard.history.find(MODEL_ID).outcome.message == "canceled by grace"


def test_a_staging_that_was_not_stopped_in_time_leaves_nothing_behind(world, tmp_path):
    add_training(world)
    parse_dag(world)
    start_run(world, validate="success", stage="running")
    workspace = Workspace(tmp_path / "workspace")
    run = workspace.run(RUN)
    (run.model / "package").mkdir(parents=True)
    (run.logs / "learner-1").mkdir(parents=True)
    context = {"ti": SimpleNamespace(task_id="stage", xcom_pull=partial(pulled, world))}
    tasks.undo_if_canceled(context, RUN, workspace)
    assert run.model.exists()
    world.history.cancel(world.history.find(MODEL_ID), "grace")
    with pytest.raises(TrainyardError, match="canceled by grace"):
        tasks.undo_if_canceled(context, RUN, workspace)
    assert not run.model.exists()
    assert run.logs.exists()
