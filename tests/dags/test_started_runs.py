"""Runs that were asked for, over Airflow's real tables: made once, listed before they are, owned by who asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from historyworld import ALL_STEPS, add_training, end_run, parse_dag, start_run
from historyworld import world as world  # a fixture
from late import Late
from samples import LIMITS, MODEL_ID
from sqlalchemy import select

from trainyard.core.accounts import SERVICE, Caller
from trainyard.core.runs import Key, Order
from trainyard.core.starting import Asked, Starting
from trainyard.domain.names import RunKey
from trainyard.domain.plan import sizes_for
from trainyard.domain.states import Phase, State
from trainyard.errors import TrainyardError

pytestmark = pytest.mark.xdist_group("airflow")

runs = Late("airflow.models.dagrun")
dags = Late("trainyard.airflow.dag")
started = Late("trainyard.airflow.startedruns")
usages = Late("trainyard.airflow.usage")
keys = Late("trainyard.airflow.runkeys")
slots = Late("trainyard.airflow.runparameters")

ADA, GRACE = Caller("ada"), Caller("grace")
_NOW = 1_800_000_000.0
_OTHER = "training-Xz81mQ0aB"


@pytest.fixture
def yard(world):
    """A training whose first run has ended, and what starts more runs of it."""
    _add(world, MODEL_ID)
    parse_dag(world)
    start_run(world, **ALL_STEPS)
    end_run(world)
    world.starting = Starting(world.catalogue, started.AirflowStartedRuns(), lambda: LIMITS, lambda: _NOW)
    return world


def _add(world, training_id, **changes):
    sizes = sizes_for(LIMITS.accounts["vision"], LIMITS)
    return add_training(world, training_id, hyperparameters={"lr": 0.1}, sizes=sizes, **changes)


def _start(world, caller=GRACE, training_id=MODEL_ID, name="", **values):
    return world.starting.start(Asked(training_id, values, parent=training_id, name=name), caller)


def _listed(world, **wanted):
    page, total = world.history.page(None, 100, 0, **wanted)
    assert total == len(page)
    return [run.model_id for run in page]


class TestMaking:
    def test_it_is_a_run_of_the_id_that_was_handed_out_with_what_was_asked_for(self, yard):
        start = _start(yard, lr=0.5, size="large")
        run = yard.history.find(start.model_id)
        assert (run.key, run.owner, run.parent, run.gpus) == (start.key, "grace", MODEL_ID, 4)
        assert (run.overrides, run.hyperparameters) == ({"lr": 0.5, "size": "large"}, {"lr": 0.5})
        assert (run.submitted_at, run.phase) == (_NOW, Phase.QUEUED)
        assert _listed(yard) == [MODEL_ID, start.model_id]

    def test_it_is_called_by_its_own_name_and_found_by_it(self, yard):
        start = _start(yard, name="a baseline")
        assert (yard.history.find(start.model_id).name, yard.history.find(MODEL_ID).name) == ("a baseline", "tf-mnist")
        assert _listed(yard, chosen=start.key.__eq__) == [start.model_id]
        assert _listed(yard, order=Order(Key.NAME)) == [start.model_id, MODEL_ID]
        assert _listed(yard, order=Order(Key.NAME, descending=True)) == [MODEL_ID, start.model_id]

    def test_twice_is_once(self, yard):
        start = _start(yard)
        port = started.AirflowStartedRuns()
        assert [port.make(start), port.make(start)] == [True, True]
        with yard.session() as session:
            assert len(session.scalars(select(runs.DagRun.id).where(runs.DagRun.run_id == start.model_id)).all()) == 1

    def test_steps_read_the_start_whatever_the_run_has_in_airflow(self, yard):
        start = _start(yard, size="large")
        with yard.session() as session:
            session.scalars(select(runs.DagRun).where(runs.DagRun.run_id == start.model_id)).one().conf = {"lr": 9.0}
        assert yard.history.find(start.model_id).overrides == {"size": "large"}

    def test_one_of_a_training_that_airflow_does_not_know_waits_and_is_listed_as_queued(self, yard):
        _add(yard, _OTHER)
        start = _start(yard, training_id=_OTHER, name="a baseline", lr=0.5)
        assert yard.history.find(start.model_id).phase is Phase.QUEUED
        assert _listed(yard, chosen=start.key.__eq__) == [start.model_id]
        assert _listed(yard) == [MODEL_ID, _OTHER, start.model_id]
        assert _listed(yard, states=frozenset({State.PENDING})) == [_OTHER, start.model_id]
        assert _listed(yard, states=frozenset({State.COMPLETED})) == [MODEL_ID]
        assert _listed(yard, since=_NOW) == [start.model_id]
        parse_dag(yard, _OTHER)
        assert yard.starting.settle(SERVICE) == [start.model_id]
        assert _listed(yard) == [MODEL_ID, start.model_id, _OTHER]

    def test_one_that_was_made_before_a_crash_is_listed_once_and_settled(self, yard):
        start = _start(yard)
        folder = yard.catalogue.folder / "starts"
        (folder / f"{start.model_id}.json").rename(folder / "pending" / f"{start.model_id}.json")
        assert _listed(yard) == [MODEL_ID, start.model_id]
        assert yard.starting.settle(SERVICE) == [start.model_id]
        assert yard.catalogue.starts.pending() == {}


class TestNames:
    def test_runs_are_found_by_either_end_of_their_ids_in_this_case_also_before_airflow_has_them(self, yard):
        waiting = _keep_pending(yard, MODEL_ID).key
        assert yard.history.like("DOl") == yard.history.like("LkR") == {RunKey.first_of(MODEL_ID)}
        assert yard.history.like("dol") == yard.history.like("l4q2") == yard.history.like("%") == set()
        assert yard.history.like(waiting.model_id[-9:]) == {waiting}


class TestOwners:
    def test_a_run_is_listed_with_those_of_whoever_started_it(self, yard):
        start = _start(yard, GRACE)
        assert _listed(yard, owner="grace") == [start.model_id]
        assert _listed(yard, owner="ada") == [MODEL_ID]
        assert _listed(yard, owner="mallory") == []

    def test_the_list_is_ordered_by_them(self, yard):
        start = _start(yard, GRACE)
        assert _listed(yard, order=Order(Key.OWNER, descending=True)) == [start.model_id, MODEL_ID]

    def test_a_run_that_somebody_triggered_in_airflow_is_theirs(self, yard):
        start_run(yard, run_id="training-again0000")
        with yard.session() as session:
            run = session.scalars(select(runs.DagRun).where(runs.DagRun.run_id == "training-again0000")).one()
            run.triggering_user_name = "grace"
        assert yard.history.find("training-again0000").owner == "grace"
        assert _listed(yard, owner="grace") == ["training-again0000"]


class TestLeftBehind:
    def test_a_training_with_a_run_that_is_to_come_has_no_last_run(self, yard):
        _add(yard, _OTHER)
        parse_dag(yard, _OTHER)
        start_run(yard, _OTHER)
        first = yard.history.find(_OTHER)
        assert yard.history.is_last(first)
        _keep_pending(yard, _OTHER)
        assert not yard.history.is_last(first)
        assert not yard.history.forget(first)

    def test_it_counts_as_waiting_with_the_gpus_of_its_size(self, yard):
        yard.catalogue.mark_begun(MODEL_ID)
        _keep_pending(yard, MODEL_ID, size="large")
        usage = usages.AirflowUsage(yard.catalogue, lambda run: None, lambda: _NOW)
        assert [share.gpus for share in usage.shares(0.0) if share.waiting] == [4]

    def test_once_it_is_made_it_counts_once(self, yard):
        yard.catalogue.mark_begun(MODEL_ID)
        _start(yard, size="large")
        usage = usages.AirflowUsage(yard.catalogue, lambda run: None, lambda: _NOW)
        assert len([share for share in usage.shares(0.0) if share.waiting]) == 1

    def test_a_run_of_another_training_that_took_its_id_is_refused(self, yard):
        start = _start(yard)
        with pytest.raises(TrainyardError, match="of another training"):
            keys.run_of({"run_id": start.model_id}, _OTHER, yard.catalogue)
        assert keys.run_of({"run_id": start.model_id}, MODEL_ID, yard.catalogue) == start.key


def test_the_train_task_takes_the_slots_of_the_size_that_was_asked_for(yard, monkeypatch):
    start = _start(yard, size="large")
    here = SimpleNamespace(catalogue=yard.catalogue)
    monkeypatch.setattr("trainyard.airflow.runparameters.current_app", lambda: here)
    dag = dags.training_dag(yard.catalogue.get(MODEL_ID))
    task = SimpleNamespace(task_id="train", dag_id=MODEL_ID, pool="gpus-vision", pool_slots=1)
    task.task = dag.get_task("train")
    slots.follow_size(task, SimpleNamespace(run_id=start.model_id, conf={"size": "tiny"}))
    assert (task.pool, task.pool_slots) == ("gpus-vision", 4)


def _keep_pending(world, training_id, **values):
    """Ask for a run while Airflow is away."""

    class Away:
        def make(self, start):
            return False

    away = Starting(world.catalogue, Away(), lambda: LIMITS, lambda: _NOW)
    return away.start(Asked(training_id, values), ADA)


def test_what_was_asked_for_is_an_owner_before_airflow_has_it(yard):
    start = _keep_pending(yard, MODEL_ID)
    assert {start.key, RunKey.first_of(MODEL_ID)} == yard.catalogue.expected()
