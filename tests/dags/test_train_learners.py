"""The train task of a run of several learners: all of them or none, found again, ended together."""

from __future__ import annotations

import asyncio
import json
import os
from types import SimpleNamespace

import pytest
from fake_cluster import EVICTED, PULLING, RUNNING, FakeCluster, exited, pod, refusal
from helddata import hold_data
from late import Late
from podtrigger import FakePods, api_refusal, event_of, waiting_trigger
from samples import MODEL_ID, RUN, training
from workertask import WorkerTask

from trainyard.domain.names import learner_name, pod_name
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import Resources
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

operators = Late("trainyard.airflow.operator")
failures = Late("trainyard.airflow.failures")
sdk = Late("airflow.sdk.exceptions")
_FOR_GOOD = ("StepFailedError", True)
_FIRST = [learner_name(RUN, 1, number) for number in (1, 2, 3)]
_SECOND = [learner_name(RUN, 2, number) for number in (1, 2, 3)]


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def train(monkeypatch, tmp_path, workspace):
    """Run the train task of a run of three learners on a cluster, or a method of it; return its task instance."""
    monkeypatch.setattr("airflow.sdk.bases.operator.ExecutorSafeguard.test_mode", True)
    for variable in [name for name in os.environ if name.startswith("TRAINYARD_")]:
        monkeypatch.delenv(variable)
    (tmp_path / "quotas.yaml").write_text("accounts:\n  - {name: vision, gpus: 4, members: [ada], max_hours: 24}\n")
    for name, place in {
        "WORKSPACE": workspace.root,
        "CATALOGUE": tmp_path,
        "QUOTAS_FILE": tmp_path / "quotas.yaml",
    }.items():
        monkeypatch.setenv(f"TRAINYARD_{name}", str(place))

    def run(cluster, raises, attempt=1, event=None, **changes):
        hold_data(workspace)
        wanted = training(resources=Resources(size="small", nodes=3), **changes)
        operator = operators.TrainOperator(training=wanted, task_id="train")
        monkeypatch.setattr(operators.TrainOperator, "client", cluster)
        task = WorkerTask(attempt, 7)
        context = {"run_id": MODEL_ID, "ti": task, "dag_run": SimpleNamespace(conf=None)}
        kind, final = raises if isinstance(raises, tuple) else (raises, None)
        with pytest.raises(getattr(sdk if final is None else failures, kind)) as raised:
            operator.place_again(context, event) if event else operator.execute(context)
        assert getattr(raised.value, "final", None) is final
        task.raised = raised.value
        return task

    return run


def three(*statuses, attempt=1):
    return [pod(status, attempt, learner=number) for number, status in enumerate(statuses, 1)]


def going(one):
    one["metadata"] |= {"deletionTimestamp": "2096-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
    return one


def _outcome(task):
    return Outcome.from_dict(task.pushed["outcome"])


class TestStarting:
    def test_all_learners_get_a_pod_and_a_service_and_the_slots_of_all_are_taken(self, train):
        cluster = FakeCluster()
        task = train(cluster, "TaskDeferred")
        assert cluster.created == _FIRST
        assert list(cluster.services) == [pod_name(RUN, 1)]
        trigger = task.raised.trigger
        assert (trigger.wait.pod_name, trigger.wait.learners, trigger.wait.gpus) == (pod_name(RUN, 1), 3, 1)
        made = operators.TrainOperator(training=training(resources=Resources(size="small", nodes=3)), task_id="train")
        assert (made.pool, made.pool_slots) == ("gpus-vision", 3)

    def test_where_the_cluster_refuses_one_none_is_left(self, train):
        cluster = FakeCluster()
        as_ever = cluster.create_namespaced_pod

        def create(namespace, body):
            if body["metadata"]["name"] == _FIRST[2]:
                raise refusal(403, "Forbidden")
            return as_ever(namespace, body)

        cluster.create_namespaced_pod = create
        task = train(cluster, ("StepFailedError", False))
        assert _outcome(task).code == "S101"
        assert cluster.created == _FIRST[:2]
        assert cluster.pods == {}

    def test_a_task_that_is_killed_stops_all_pods_and_those_it_was_about_to_create(self, train, monkeypatch):
        cluster = FakeCluster(*three(RUNNING, RUNNING))
        monkeypatch.setattr(operators.TrainOperator, "client", cluster)
        operator = operators.TrainOperator(training=training(resources=Resources("small", nodes=3)), task_id="train")
        operator.pod_names = _FIRST
        operator.on_kill()
        assert [name for name, _ in cluster.deleted] == _FIRST[:2]


class TestFindingAgain:
    def test_a_retry_finds_all_pods_that_still_run(self, train):
        cluster = FakeCluster(*three(RUNNING, RUNNING, RUNNING))
        train(cluster, "TaskDeferred", attempt=2)
        assert (cluster.created, cluster.deleted) == ([], [])

    def test_what_a_worker_that_died_has_not_come_to_create_is_created(self, train):
        cluster = FakeCluster(*three(RUNNING, RUNNING))
        task = train(cluster, "TaskDeferred", attempt=2)
        assert (cluster.created, cluster.deleted) == ([_FIRST[2]], [])
        assert task.raised.trigger.wait.pod_name == pod_name(RUN, 1)

    def test_an_attempt_that_lost_a_learner_is_ended_and_followed_by_another(self, train):
        train(FakeCluster(), "TaskDeferred")
        cluster = FakeCluster(*three(RUNNING, RUNNING))
        train(cluster, "TaskDeferred", attempt=2)
        assert cluster.created == _SECOND
        assert [name for name, _ in cluster.deleted] == _FIRST[:2]
        assert set(cluster.pods) == set(_SECOND)

    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_one_that_the_infrastructure_took_has_all_of_them_started_again(self, train, number):
        statuses = [RUNNING, RUNNING, RUNNING]
        statuses[number] = EVICTED
        cluster = FakeCluster(*three(*statuses))
        task = train(cluster, "TaskDeferred", attempt=2, retries=1)
        assert cluster.created == _SECOND
        assert task.raised.trigger.wait.last
        outcome = _outcome(train(FakeCluster(*three(*statuses, attempt=2)), _FOR_GOOD, attempt=3, retries=1))
        assert outcome.code == "S102"
        assert outcome.message.startswith(f"learner {number + 1} of 3: ")
        assert outcome.message.endswith("this was attempt 2")

    def test_one_that_is_being_stopped_has_all_of_them_started_again(self, train):
        cluster = FakeCluster(going(three(RUNNING)[0]), *three(RUNNING, RUNNING, RUNNING)[1:])
        train(cluster, "TaskDeferred", attempt=2)
        assert cluster.created == _SECOND

    def test_a_run_of_which_one_failed_is_never_started_again(self, train):
        cluster = FakeCluster(*three(exited(0), exited(3), exited(0)))
        outcome = _outcome(train(cluster, _FOR_GOOD))
        assert cluster.created == []
        assert (outcome.code, outcome.exit_code) == ("C201", 3)
        assert outcome.message.startswith("learner 2 of 3: ")

    def test_others_that_still_run_beside_one_that_failed_are_the_triggers_to_end(self, train):
        cluster = FakeCluster(*three(RUNNING, exited(3), RUNNING))
        train(cluster, "TaskDeferred", attempt=2)
        assert (cluster.created, cluster.deleted) == ([], [])

    def test_the_last_words_are_those_of_the_learner_that_failed(self, train, workspace, caplog):
        caplog.set_level("INFO")
        log = workspace.run(RUN).of_learner(2).training_log
        log.parent.mkdir(parents=True)
        log.write_text("loading\nno labels\n")
        train(FakeCluster(*three(exited(0), exited(3), exited(0))), _FOR_GOOD)
        assert caplog.messages[-1].endswith("The last words of the program:\n    loading\n    no labels")


class TestPlacing:
    def test_learners_that_were_taken_back_are_placed_again_and_no_attempt_is_spent(self, train):
        train(FakeCluster(), "TaskDeferred", retries=0)
        for number in (2, 3, 4):
            cluster = FakeCluster()
            event = {"missing": "1 of 3 learners have a node", "attempt": number - 1}
            task = train(cluster, "TaskDeferred", event=event, retries=0)
            assert cluster.created == [learner_name(RUN, number, each) for each in (1, 2, 3)]
            assert task.raised.trigger.wait.last
            assert task.raised.method_name == "place_again"

    def test_a_run_that_was_canceled_meanwhile_is_not_placed_again(self, train, monkeypatch):
        from trainyard.errors import TrainyardError

        def canceled(_):
            raise TrainyardError("C204", "canceled by ada", "Submit it again.")

        monkeypatch.setattr("trainyard.airflow.operator.check_not_canceled", canceled)
        cluster = FakeCluster()
        task = train(cluster, _FOR_GOOD, event={"missing": "", "attempt": 1})
        assert (_outcome(task).code, cluster.created) == ("C204", [])


def waiting(**states):
    """Return a trigger of three learners over pods in memory, and these pods."""
    api = FakePods(**{f"x_1_{number}": found for number, found in enumerate(states["pods"])})
    changes = {name: value for name, value in states.items() if name != "pods"}
    return waiting_trigger(api, pod_name="x-1", learners=len(states["pods"]), **changes), api


def _told(event):
    return Outcome.from_dict(json.loads(json.dumps(event.xcoms["outcome"])))


def alive(number):
    return pod(RUNNING, learner=number)


def over(number, code):
    return pod(exited(code), learner=number)


class TestWaiting:
    def test_a_run_has_ended_well_once_all_learners_have(self):
        trigger, api = waiting(pods=[[alive(1), alive(1), over(1, 0)], [over(2, 0)], [alive(3), over(3, 0)]])
        outcome = _told(event_of(trigger))
        assert (outcome.code, outcome.exit_code, outcome.gpu_seconds, api.deleted) == (None, 0, 60.0, [])

    def test_one_that_fails_ends_the_others_with_their_grace_before_the_run_has_ended(self):
        trigger, api = waiting(pods=[[alive(1)], [alive(2), over(2, 3)], [alive(3)]])
        api.after["x-1-0"] = [going(alive(1)), going(alive(1)), None]
        outcome = _told(event_of(trigger))
        assert (outcome.code, outcome.exit_code) == ("C201", 3)
        assert outcome.message.startswith("learner 2 of 3: ")
        assert api.deleted == [("x-1-0", 7), ("x-1-2", 7)]

    def test_one_that_is_gone_ends_the_others_and_another_attempt_may_follow(self):
        trigger, api = waiting(pods=[[alive(1)], [alive(2), None], [alive(3)]])
        event = event_of(trigger)
        assert (_told(event).code, _told(event).retried) == ("S102", True)
        assert [name for name, _ in api.deleted] == ["x-1-0", "x-1-2"]
        assert "final" not in event.xcoms

    def test_one_that_somebody_deletes_is_named_although_the_others_are_deleted_after_it(self):
        leaving = going(over(2, 143))
        trigger, _ = waiting(pods=[[alive(1)], [alive(2), leaving, None], [alive(3)]])
        outcome = _told(event_of(trigger))
        assert (outcome.code, outcome.message.split(":")[0]) == ("S102", "learner 2 of 3")

    def test_one_that_was_told_to_end_in_vain_is_told_again(self):
        trigger, api = waiting(pods=[[alive(1)], [alive(2), over(2, 3)], [alive(3)]])
        as_ever, refused = api.delete_namespaced_pod, [api_refusal(500)]

        async def delete(name, namespace, grace_period_seconds):
            if name == "x-1-2" and refused:
                raise refused.pop()
            await as_ever(name, namespace, grace_period_seconds)

        api.delete_namespaced_pod = delete
        assert _told(event_of(trigger)).code == "C201"
        assert (api.deleted, refused) == ([("x-1-0", 7), ("x-1-2", 7)], [])

    def test_those_that_go_on_after_the_first_are_ended_and_the_run_is_completed_with_a_warning(self):
        trigger, api = waiting(pods=[[over(1, 0)], [alive(2)], [alive(3)]], first_learner_seconds=60.0)
        outcome = _told(event_of(trigger))
        assert (outcome.code, outcome.message) == (None, "learners 2, 3 were stopped: the first one had ended")
        assert [name for name, _ in api.deleted] == ["x-1-1", "x-1-2"]

    @pytest.mark.parametrize("fault", [api_refusal(500), api_refusal(429), TimeoutError(), ConnectionResetError()])
    def test_an_api_that_does_not_answer_for_one_is_no_news_of_any(self, fault):
        trigger, api = waiting(pods=[[alive(1), over(1, 0)], [alive(2), fault, over(2, 0)], [alive(3), over(3, 0)]])
        assert (_told(event_of(trigger)).code, api.deleted) == (None, [])

    def test_a_silence_that_is_too_long_takes_no_learner(self):
        trigger, api = waiting(pods=[[alive(1)], [TimeoutError()], [alive(3)]], outage_seconds=0.05)
        outcome = _told(event_of(trigger))
        assert (outcome.code, outcome.retried, api.deleted) == ("S200", True, [])

    def test_an_image_that_does_not_arrive_for_one_ends_all(self):
        trigger, api = waiting(pods=[[alive(1)], [pod(PULLING, learner=2)], [alive(3)]], image_seconds=0)
        outcome = _told(event_of(trigger))
        assert outcome.code == "S103"
        assert outcome.message.startswith("learner 2 of 3: ")
        assert api.deleted == [("x-1-0", 0), ("x-1-1", 0), ("x-1-2", 0)]

    def test_one_whose_image_there_is_not_frees_its_gpus_too(self):
        refused = {"name": "learner", "state": {"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}}}
        without = pod({"phase": "Pending", "containerStatuses": [refused]}, learner=2)
        trigger, api = waiting(pods=[[alive(1), None], [without], [alive(3), None]], image_seconds=60)
        outcome = _told(event_of(trigger))
        assert (outcome.code, outcome.message[:16]) == ("S103", "learner 2 of 3: ")
        assert api.deleted == [("x-1-0", 7), ("x-1-2", 7), ("x-1-1", 0)]

    def test_a_trigger_that_is_made_anew_in_the_midst_of_the_end_tells_the_same_end(self):
        stopped = pod(exited(143), learner=1)
        stopped["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:42Z", "deletionGracePeriodSeconds": 30}
        trigger, api = waiting(pods=[[stopped], [over(2, 3)], [None]])
        outcome = _told(event_of(trigger))
        assert (outcome.code, outcome.exit_code, api.deleted) == ("C201", 3, [])

    def test_a_run_that_is_canceled_takes_all_its_pods_along(self):
        trigger, api = waiting(pods=[[alive(1)], [alive(2)], [alive(3)]])
        asyncio.run(trigger.on_kill())
        assert api.deleted == [("x-1-0", 7), ("x-1-1", 7), ("x-1-2", 7)]

    def test_learners_that_lack_a_place_for_too_long_are_all_taken_back_and_placed_again(self):
        unplaced = pod({"phase": "Pending"}, learner=3)
        placed = [pod({**exited(0), "phase": "Running", "containerStatuses": []}, learner=number) for number in (1, 2)]
        trigger, api = waiting(pods=[[placed[0]], [placed[1]], [unplaced]], placement_seconds=0.01)
        event = event_of(trigger)
        assert event.payload == {
            "missing": "2 of 3 learners have a node, learner 3 has none: the cluster has no room",
            "attempt": 1,
        }
        assert [name for name, _ in api.deleted] == ["x-1-0", "x-1-1", "x-1-2"]
