"""The trigger of a training pod over a Kubernetes API in memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

from late import Late

trigger = Late("trainyard.airflow.trigger")

ARGUMENTS = {
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
    "run": "",
    "page": "",
    "results": "",
    "learners": 1,
    "placement_seconds": 60.0,
    "first_learner_seconds": 60.0,
    "lead": 1,
}


def api_refusal(status):
    from kubernetes_asyncio.client import ApiException

    return ApiException(status=status, reason="")


def pod_trigger(**changes):
    return trigger.TrainingPodTrigger(**{**ARGUMENTS, **changes})


class FakePods:
    """Several pods by name, each as a list of what it is at each look; the last is repeated, None is gone.

    An exception in the place of a pod is what that look raises.
    """

    def __init__(self, **pods):
        self._pods = {name.replace("_", "-"): list(states) for name, states in pods.items()}
        self.api_client = SimpleNamespace(sanitize_for_serialization=lambda found: found)
        self.deleted = []
        # What becomes of a pod that is deleted, by its name.
        self.after = {}

    async def read_namespaced_pod(self, name, namespace):
        states = self._pods[name]
        found = states.pop(0) if len(states) > 1 else states[0]
        if found is None:
            raise api_refusal(404)
        if isinstance(found, Exception):
            raise found
        return found

    async def delete_namespaced_pod(self, name, namespace, grace_period_seconds):
        self.deleted.append((name, grace_period_seconds))
        self._pods[name] = list(self.after.get(name, [None]))


class FakeApi:
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
        raise api_refusal(404)


def waiting_trigger(api, **changes):
    """Return the trigger over an API in memory, where every look is a moment after the one before."""

    @asynccontextmanager
    async def opened():
        yield api

    async def watch(_):
        await asyncio.sleep(0)

    made = pod_trigger(**changes)
    made.pods.api, made.pods.until_changed = opened, watch
    return made


def event_of(waiting):
    async def first():
        return await anext(waiting.run())

    return asyncio.run(asyncio.wait_for(first(), 120))
