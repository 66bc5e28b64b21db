"""The end of the train step, from the pod's status through Airflow's own handling of trigger events."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
from fake_cluster import EVICTED, exited, pod
from historyworld import add_training, parse_dag, pulled, start_run, step_states
from historyworld import world as world  # a fixture
from late import Late
from podtrigger import FakeApi, event_of, waiting_trigger
from samples import MODEL_ID
from sqlalchemy import select

from trainyard.domain.outcome import Outcome

pytestmark = pytest.mark.xdist_group("airflow")

executors = Late("airflow.executors.base_executor")
finalfaults = Late("trainyard.airflow.patches.finalfaults")
jobs = Late("airflow.jobs.job")
models = Late("airflow.models")
outcomes = Late("trainyard.airflow.outcomes")
rows = Late("airflow.models.taskinstance")
schedulers = Late("airflow.jobs.scheduler_job_runner")
triggers = Late("airflow.models.trigger")
_OLDER = "training-0lder0000"
_BEFORE = {"validate": "success", "stage": "success"}


@pytest.fixture
def yard(world):
    """An account with one GPU: a run that trains, tried once, and an older one that waits for the GPU."""
    finalfaults.install()
    for training_id, train, submitted_at in ((MODEL_ID, "deferred", 1.7e9 + 1), (_OLDER, "scheduled", 1.7e9)):
        add_training(world, training_id, account="speech", submitted_at=submitted_at)
        parse_dag(world, training_id)
        start_run(world, training_id, **_BEFORE, train=train)
    with world.session() as session:
        trigger = triggers.Trigger(classpath="of.no.matter", kwargs={})
        session.add(trigger)
        session.flush()
        train = _train(session)
        train.trigger_id, train.try_number = trigger.id, 1
        world.trigger_id = trigger.id
    _quota(world, 1)
    return world


def _quota(yard, gpus):
    with yard.session() as session:
        models.Pool.create_or_update_pool("gpus-speech", gpus, "", include_deferred=True, session=session)


def _train(session, run_id=MODEL_ID):
    task = rows.TaskInstance
    return session.scalar(select(task).where(task.run_id == run_id, task.task_id == "train"))


def _ends(yard, status, **changes):
    """Let the run's pod end; return the state of its train step."""
    triggers.Trigger.submit_event(yard.trigger_id, event_of(waiting_trigger(FakeApi(pod(status)), **changes)))
    return step_states(yard)["train"]


def _stated(yard):
    """Return the outcome that the train step left, as a worker reads it; None where there is none."""
    return outcomes.outcome_so_far({"ti": SimpleNamespace(xcom_pull=partial(pulled, yard))}, ["train"])


def _queued_next(yard):
    runner = schedulers.SchedulerJobRunner(jobs.Job(), executors=[executors.BaseExecutor(parallelism=8)])
    with yard.session() as session:
        return [task.run_id for task in runner._executable_task_instances_to_queued(8, session)]


class TestEnding:
    @pytest.mark.parametrize("gpus", [1, 0])
    def test_a_program_that_succeeded_ends_its_step_whoever_has_the_slots_by_now(self, yard, gpus):
        _quota(yard, gpus)
        assert _ends(yard, exited(0)) == "success"
        assert _stated(yard) == Outcome(None, "", "", 0, 20.0, 1767225600.0, 1767225610.0)

    def test_its_slots_are_the_next_runs_at_once(self, yard):
        assert _queued_next(yard) == []
        _ends(yard, exited(0))
        assert _queued_next(yard) == [_OLDER]

    @pytest.mark.parametrize("gpus", [1, 0])
    def test_a_program_that_failed_fails_its_step_for_good_after_one_try(self, yard, gpus):
        _quota(yard, gpus)
        assert _ends(yard, exited(3)) == "failed"
        assert (_stated(yard).code, _stated(yard).exit_code) == ("C201", 3)
        with yard.session() as session:
            assert _train(session).try_number == 1

    def test_what_the_infrastructure_did_is_tried_again_and_gives_the_slots_back_meanwhile(self, yard):
        assert _ends(yard, EVICTED) == "up_for_retry"
        assert _stated(yard) is None
        assert _queued_next(yard) == [_OLDER]

    def test_what_the_infrastructure_did_at_the_last_try_is_the_outcome(self, yard):
        with yard.session() as session:
            train = _train(session)
            train.try_number = train.max_tries + 1
        assert _ends(yard, EVICTED) == "failed"
        assert _stated(yard).code == "S102"

    def test_what_the_infrastructure_did_at_the_last_attempt_is_the_outcome_without_another_try(self, yard):
        assert _ends(yard, EVICTED, last=True) == "failed"
        assert _stated(yard).code == "S102"
        assert pulled(yard, "train", "final") is None

    def test_an_api_that_was_silent_at_the_last_attempt_took_no_pod_so_that_it_is_looked_for_again(self, yard):
        api = FakeApi(OSError("no route"))
        triggers.Trigger.submit_event(yard.trigger_id, event_of(waiting_trigger(api, outage_seconds=0.1, last=True)))
        assert step_states(yard)["train"] == "up_for_retry"

    def test_a_run_that_was_canceled_before_stays_canceled(self, yard):
        yard.history.cancel(yard.history.find(MODEL_ID), "grace")
        assert _ends(yard, exited(0)) == "failed"
        assert _stated(yard) is None


class TestOtherTasks:
    def test_a_failure_that_a_trigger_of_others_reports_is_tried_again_as_usual(self, yard):
        from airflow.triggers.base import TaskFailedEvent

        triggers.Trigger.submit_event(yard.trigger_id, TaskFailedEvent(xcoms={"outcome": "bad"}))
        assert step_states(yard)["train"] == "up_for_retry"
