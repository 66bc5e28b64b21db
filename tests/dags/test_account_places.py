"""Which steps Airflow's scheduler queues when one account has a burst of runs and another one has a single run."""

from __future__ import annotations

from collections import Counter

import pytest
from historyworld import add_training, parse_dag, start_run
from historyworld import world as world  # a fixture
from late import Late
from samples import LIMITS
from sqlalchemy import select

from trainyard.settings import read_settings

pytestmark = pytest.mark.xdist_group("airflow")

fullpools = Late("trainyard.airflow.patches.fullpools")
executors = Late("airflow.executors.base_executor")
jobs = Late("airflow.jobs.job")
pools = Late("trainyard.airflow.pools")
rows = Late("airflow.models.taskinstance")
schedulers = Late("airflow.jobs.scheduler_job_runner")
_PLACES, _RUNS_A_STEP = 8, 4
_QUEUES = "_executable_task_instances_to_queued"
_DONE_BEFORE = {
    "validate": {},
    "stage": {"validate": "success"},
    "upload": {"validate": "success", "stage": "success", "train": "success"},
    "cleanup": {"validate": "success", "stage": "success", "train": "success", "upload": "success"},
}
_OTHERS = "training-0thers000"


@pytest.fixture(autouse=True)
def _as_in_the_scheduler(monkeypatch):
    runner = schedulers.SchedulerJobRunner
    monkeypatch.setattr(runner, _QUEUES, getattr(runner, _QUEUES))
    fullpools.install()


@pytest.fixture
def yard(world):
    """A burst of the account vision with runs that wait at each step, and a younger run of the account speech."""
    pools.sync_pools(LIMITS, read_settings({}))
    for step_number, (step, before) in enumerate(_DONE_BEFORE.items()):
        for number in range(_RUNS_A_STEP):
            name = f"training-burst{step_number}{number:03}"
            _queue(world, name, "vision", 1.7e9 + number, {**before, step: "scheduled"})
    return world


def _queue(world, name, account, submitted_at, steps):
    add_training(world, name, account=account, submitted_at=submitted_at)
    parse_dag(world, name)
    start_run(world, name, **steps)


def _look(yard):
    """Let the scheduler look once for steps to queue, for the places that are left."""
    runner = schedulers.SchedulerJobRunner(jobs.Job(), executors=[executors.BaseExecutor(parallelism=_PLACES)])
    free = _PLACES - sum(_queued(yard).values())
    with yard.session() as session:
        return len(runner._executable_task_instances_to_queued(free, session)) if free else 0


def _queued(yard):
    """Count the steps that are queued, by account and name."""
    task = rows.TaskInstance
    with yard.session() as session:
        found = session.execute(select(task.dag_id, task.task_id).where(task.state == "queued")).all()
    return Counter((yard.catalogue.get(dag_id).account, task_id) for dag_id, task_id in found)


def test_a_burst_takes_so_many_places_as_its_account_has_slots_and_leaves_the_others(yard):
    while _look(yard):
        pass
    queued = _queued(yard)
    assert queued["vision", "validate"] == 2
    assert queued["vision", "stage"] + queued["vision", "upload"] == 2
    assert queued["vision", "cleanup"] == 2
    assert sum(queued.values()) < _PLACES


@pytest.mark.parametrize("step", _DONE_BEFORE)
def test_a_step_of_another_account_is_queued_behind_any_burst(yard, step):
    _queue(yard, _OTHERS, "speech", 1.8e9, {**_DONE_BEFORE[step], step: "scheduled"})
    _look(yard)
    assert _queued(yard)["speech", step] == 1


def test_it_does_not_wait_until_no_slot_of_the_bursts_becomes_free(yard):
    """Each look finds a free slot of the burst's checks, and more of its checks than there are places."""
    for number in range(_PLACES):
        _queue(yard, f"training-burst9{number:03}", "vision", 1.6e9 + number, {"validate": "scheduled"})
    _queue(yard, _OTHERS, "speech", 1.8e9, {"validate": "scheduled"})
    assert _look(yard) <= _PLACES
    assert _queued(yard)["speech", "validate"] == 1


def test_results_are_stored_before_more_data_is_staged(yard):
    while _look(yard):
        pass
    assert _queued(yard)["vision", "upload"] == 2
