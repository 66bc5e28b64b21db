"""A step that is started although its run was canceled: the scheduler had chosen it at that very moment."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
from late import Late
from samples import MODEL_ID, RUN
from sqlalchemy import delete, select
from test_history import _end, _parse, _start, _submit, world  # noqa: F401 - a fixture
from test_train_end import pulled

from trainyard.domain.states import State
from trainyard.errors import TrainyardError
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

canceled = Late("trainyard.airflow.cancel")
runs = Late("airflow.models.dagrun")
tasks = Late("trainyard.airflow.tasks")
xcoms = Late("airflow.models.xcom")
_STEPS = {
    "validate": {"validate": "queued"},
    "stage": {"validate": "success", "stage": "queued"},
    "train": {"validate": "success", "stage": "success", "train": "queued"},
}


@pytest.fixture(params=_STEPS)
def yard(world, request):  # noqa: F811
    """A run, one step of which is queued."""
    _submit(world)
    _parse(world)
    _start(world, **_STEPS[request.param])
    world.step = request.param
    return world


def _starts(yard):
    """Start the queued step as a worker does, which first clears what an earlier try of it has left."""
    left = xcoms.XComModel

    def push(key, value):
        with yard.session() as session:
            place = {"dag_id": MODEL_ID, "task_id": yard.step, "run_id": MODEL_ID}
            left.set(key, value, **place, serialize=False, session=session)

    with yard.session() as session:
        session.execute(delete(left).where(left.run_id == MODEL_ID, left.task_id == yard.step))
        clear_number = session.scalar(select(runs.DagRun.clear_number).where(runs.DagRun.run_id == MODEL_ID))
    task = SimpleNamespace(task_id=yard.step, xcom_pull=partial(pulled, yard), xcom_push=push)
    canceled.check_not_canceled({"ti": task, "dag_run": SimpleNamespace(clear_number=clear_number)})


def test_a_step_of_a_run_that_nobody_canceled_goes_on(yard):
    _starts(yard)


def test_it_refuses_and_the_run_is_a_canceled_one(yard):
    yard.history.cancel(yard.history.find(MODEL_ID), "grace")
    with pytest.raises(TrainyardError, match="canceled by grace") as refusal:
        _starts(yard)
    assert refusal.value.code.code == "C204"
    _end(yard, state="failed")
    run = yard.history.find(MODEL_ID)
    assert (run.state, run.outcome.message) == (State.CANCELED, "canceled by grace")
    assert yard.history.page(None, 10, 0, frozenset({State.CANCELED}))[1] == 1


def test_a_run_that_is_cleared_afterwards_starts_anew(yard):
    yard.history.cancel(yard.history.find(MODEL_ID), "grace")
    with yard.session() as session:
        session.scalar(select(runs.DagRun).where(runs.DagRun.run_id == MODEL_ID)).clear_number += 1
    yard.step = "validate"
    _starts(yard)


def test_a_staging_that_was_not_stopped_in_time_leaves_nothing_behind(world, tmp_path):  # noqa: F811
    _submit(world)
    _parse(world)
    _start(world, validate="success", stage="running")
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
