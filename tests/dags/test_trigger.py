"""The trigger that waits for a training pod to end."""

from __future__ import annotations

import asyncio
import importlib
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from fake_cluster import EVICTED, PULLING, RUNNING, exited, pod
from late import Late

from trainyard.errors import Fault
from trainyard.pods.diagnose import diagnose
from trainyard.pods.labels import FRAMEWORK

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

    return asyncio.run(asyncio.wait_for(first(), 20)).payload


class TestKeeping:
    def test_a_trigger_is_made_again_from_what_airflow_keeps_of_it(self):
        path, arguments = _trigger().serialize()
        module, _, name = path.rpartition(".")
        again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
        assert type(again) is trigger.TrainingPodTrigger
        assert again.serialize() == (path, arguments)
        assert arguments == _ARGUMENTS


class TestEvents:
    @pytest.mark.parametrize("status", [{}, {"phase": "Pending"}, RUNNING, PULLING])
    def test_a_pod_that_is_on_its_way_is_no_event(self, status):
        assert _trigger()._event(pod(status)) is None

    @pytest.mark.parametrize("status", [exited(0), exited(3), EVICTED])
    def test_a_pod_that_has_ended_is_the_event(self, status):
        assert _trigger()._event(pod(status)) == {"pod": trigger.trimmed(pod(status))}

    def test_an_image_that_does_not_arrive_in_its_time_is_the_event(self):
        waiting = _trigger(image_seconds=0)
        assert waiting._event(pod(PULLING)) is None
        assert waiting._event(pod(PULLING)) == {"pod": trigger.trimmed(pod(PULLING))}

    def test_an_image_that_arrives_after_all_starts_its_time_anew(self):
        waiting = _trigger(image_seconds=0)
        assert waiting._event(pod(PULLING)) is None
        assert waiting._event(pod(RUNNING)) is None
        assert waiting._event(pod(PULLING)) is None

    @pytest.mark.parametrize("status", [exited(0), exited(3), EVICTED, PULLING])
    def test_what_is_kept_of_a_pod_is_enough_to_tell_how_it_ended(self, status):
        whole = pod(status)
        assert diagnose(trigger.trimmed(whole), 2, 1024**3) == diagnose(whole, 2, 1024**3)
        assert "env" not in json.dumps(trigger.trimmed(whole))

    def test_an_image_of_the_submitters_own_that_is_refused_stays_their_fault(self):
        status = {"containerStatuses": [{"name": "learner", "state": {"waiting": _DENIED}}], "phase": "Pending"}
        whole = pod(status)
        whole["metadata"]["labels"][FRAMEWORK] = "custom"
        assert diagnose(whole, 1, 1024**3).fault is Fault.CLIENT
        assert diagnose(trigger.trimmed(whole), 1, 1024**3) == diagnose(whole, 1, 1024**3)

    def test_how_long_a_run_was_allowed_is_kept(self):
        whole = pod({**exited(143), "reason": "DeadlineExceeded"})
        assert "1 hour" in diagnose(trigger.trimmed(whole), 1, 1024**3).message


class TestWaiting:
    def test_it_waits_until_the_pod_has_ended(self):
        api = _Api(pod({"phase": "Pending"}), pod(RUNNING), pod(RUNNING), pod(exited(0)))
        assert _event_of(_waiting(api)) == {"pod": trigger.trimmed(pod(exited(0)))}

    def test_a_pod_that_is_gone_is_told(self):
        api = _Api(pod(RUNNING), _refusal(404))
        assert _event_of(_waiting(api)) == {"gone": True}

    @pytest.mark.parametrize("fault", [lambda: _refusal(503), ConnectionResetError, TimeoutError])
    def test_an_outage_is_no_news_of_the_pod(self, fault):
        api = _Api(pod(RUNNING), fault(), fault(), pod(exited(0)))
        assert _event_of(_waiting(api)) == {"pod": trigger.trimmed(pod(exited(0)))}

    def test_only_a_long_silence_ends_the_wait(self):
        api = _Api(ConnectionResetError())
        assert _event_of(_waiting(api, outage_seconds=0.05)) == {"silent": 0.05}

    def test_a_task_that_is_marked_failed_takes_its_pod_along(self):
        api = _Api(pod(RUNNING))
        asyncio.run(_waiting(api).on_kill())
        assert api.deleted == [("training-dol4q2lkr-1", "default", 7)]
