"""The trigger that waits for a training pod to end and ends the train step with it."""

from __future__ import annotations

import asyncio
import importlib
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from fake_cluster import EVICTED, PULLING, RUNNING, exited, pod
from late import Late

from trainyard.cluster.diagnosis import diagnose
from trainyard.cluster.labels import FRAMEWORK
from trainyard.domain.outcome import Outcome

pytestmark = pytest.mark.xdist_group("airflow")

trigger = Late("trainyard.airflow.trigger")
_DENIED = {"reason": "ErrImagePull", "message": "pull access denied"}
_ARGUMENTS = {
    "pod_name": "training-dol4q2lkr-1",
    "namespace": "default",
    "conn_id": "kubernetes_default",
    "poll_seconds": 0.01,
    "outage_seconds": 30.0,
    "image_seconds": 600.0,
    "grace_seconds": 7,
    "gpus": 2,
    "memory": 1024**3,
    "last": False,
}


def _refusal(status):
    from kubernetes_asyncio.client import ApiException

    return ApiException(status=status, reason="")


def _trigger(**changes):
    return trigger.TrainingPodTrigger(**{**_ARGUMENTS, **changes})


class _Api:
    """Answers every read with the next of its answers; the last one is repeated."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.api_client = SimpleNamespace(sanitize_for_serialization=lambda found: found)
        self.deleted = []

    async def read_namespaced_pod(self, name, namespace):
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def delete_namespaced_pod(self, name, namespace, grace_period_seconds):
        self.deleted.append((name, namespace, grace_period_seconds))
        raise _refusal(404)


def _waiting(api, **changes):
    """Return the trigger over an API in memory, where every look is a moment after the one before."""

    @asynccontextmanager
    async def opened():
        yield api

    async def watch(_):
        await asyncio.sleep(0)

    made = _trigger(**changes)
    made._api, made._watch = opened, watch
    return made


def _event_of(waiting):
    async def first():
        return await anext(waiting.run())

    return asyncio.run(asyncio.wait_for(first(), 120))


def _outcome_of(waiting):
    """Return the outcome that the trigger's event carries, after its kind was checked."""
    event = _event_of(waiting)
    outcome = Outcome.from_dict(json.loads(json.dumps(event.xcoms["outcome"])))
    assert event.task_instance_state == ("failed" if outcome.code else "success")
    return outcome


class TestKeeping:
    def test_a_trigger_is_made_again_from_what_airflow_keeps_of_it(self):
        path, arguments = _trigger().serialize()
        module, _, name = path.rpartition(".")
        again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
        assert type(again) is trigger.TrainingPodTrigger
        assert again.serialize() == (path, arguments)
        assert arguments == _ARGUMENTS


class TestLooking:
    @pytest.mark.parametrize("status", [{}, {"phase": "Pending"}, RUNNING, PULLING])
    def test_a_pod_that_is_on_its_way_is_waited_for(self, status):
        assert _trigger()._is_over(pod(status)) is False

    def test_an_image_that_arrives_after_all_starts_its_time_anew(self):
        waiting = _trigger(image_seconds=0)
        assert waiting._is_over(pod(PULLING)) is False
        assert waiting._is_over(pod(RUNNING)) is False
        assert waiting._is_over(pod(PULLING)) is False


class TestEnds:
    @pytest.mark.parametrize("status", [exited(0), exited(3), EVICTED])
    def test_a_pod_that_has_ended_is_told_with_its_outcome_and_left_for_the_cleanup(self, status):
        api = _Api(pod({"phase": "Pending"}), pod(RUNNING), pod(RUNNING), pod(status))
        assert _outcome_of(_waiting(api)) == diagnose(pod(status), 2, 1024**3)
        assert api.deleted == []

    def test_the_gpus_and_the_memory_of_the_pod_are_in_its_outcome(self):
        killed = exited(137)
        killed["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled"
        outcome = _outcome_of(_waiting(_Api(pod(killed)), gpus=3, memory=300 * 1024**2))
        assert (outcome.code, outcome.gpu_seconds) == ("C202", 30.0)
        assert "300Mi" in outcome.message

    def test_how_long_a_run_was_allowed_is_told(self):
        outcome = _outcome_of(_waiting(_Api(pod({**exited(143), "reason": "DeadlineExceeded"}))))
        assert "1 hour" in outcome.message

    def test_an_image_that_does_not_arrive_in_its_time_makes_room_for_the_next_attempts_pod(self):
        api = _Api(pod(PULLING))
        assert _outcome_of(_waiting(api, image_seconds=0)).code == "S103"
        assert api.deleted == [("training-dol4q2lkr-1", "default", 0)]

    def test_an_image_of_the_submitters_own_that_is_refused_is_their_fault(self):
        status = {"containerStatuses": [{"name": "learner", "state": {"waiting": _DENIED}}], "phase": "Pending"}
        whole = pod(status)
        whole["metadata"]["labels"][FRAMEWORK] = "custom"
        assert _outcome_of(_waiting(_Api(whole), image_seconds=0)).code == "C104"

    def test_a_pod_whose_node_no_longer_answers_is_lost(self):
        whole = pod(RUNNING)
        whole["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
        assert _outcome_of(_waiting(_Api(whole))).code == "S102"

    def test_a_pod_that_is_gone_is_told(self):
        api = _Api(pod(RUNNING), _refusal(404))
        assert _outcome_of(_waiting(api)).code == "S102"


class TestOutages:
    @pytest.mark.parametrize("fault", [lambda: _refusal(503), ConnectionResetError, TimeoutError])
    def test_an_outage_is_no_news_of_the_pod(self, fault):
        api = _Api(pod(RUNNING), fault(), fault(), pod(exited(0)))
        assert _outcome_of(_waiting(api)).code is None

    def test_only_a_long_silence_ends_the_wait(self):
        outcome = _outcome_of(_waiting(_Api(ConnectionResetError()), outage_seconds=0.05))
        assert (outcome.code, outcome.retried) == ("S200", True)

    def test_a_task_that_is_marked_failed_takes_its_pod_along(self):
        api = _Api(pod(RUNNING))
        asyncio.run(_waiting(api).on_kill())
        assert api.deleted == [("training-dol4q2lkr-1", "default", 7)]
