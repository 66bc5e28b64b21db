"""A cluster in memory: the handful of calls that training pods need, and pods in the states that matter."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

from samples import RUN

from trainyard.cluster.labels import ACCOUNT, ATTEMPT, MANAGED_BY, MODEL_ID, OURS, TRAINING_ID
from trainyard.domain.names import RunKey, label_value, pod_name

_LEARNER = "learner"
RUNNING = {"phase": "Running", "containerStatuses": [{"name": _LEARNER, "state": {"running": {}}}]}
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
PULLING = {
    "phase": "Pending",
    "containerStatuses": [
        {"name": _LEARNER, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "connection refused"}}}
    ],
}


def exited(code: int) -> dict[str, Any]:
    """The status of a pod whose program ran for ten seconds and ended with this exit code."""
    ended = {
        "exitCode": code,
        "reason": "Error" if code else "Completed",
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:10Z",
    }
    return {
        "phase": "Failed" if code else "Succeeded",
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "containerStatuses": [{"name": _LEARNER, "state": {"terminated": ended}}],
    }


def pod(
    status: dict[str, Any], attempt: int = 1, run: RunKey = RUN, account: str = "vision", gpus: int = 0
) -> dict[str, Any]:
    """A pod of a run, as the cluster has it; without GPUs unless some are asked for."""
    ids = {TRAINING_ID: run.training_id, MODEL_ID: run.model_id}
    return {
        "metadata": {
            "name": pod_name(run, attempt),
            "namespace": "default",
            "uid": f"uid-{attempt}",
            "labels": {MANAGED_BY: OURS, **ids, ATTEMPT: str(attempt), ACCOUNT: label_value(account)},
            "annotations": {ACCOUNT: account},
        },
        "spec": {
            "activeDeadlineSeconds": 3600,
            "containers": [
                {
                    "name": _LEARNER,
                    "image": "registry.example.com/x:1",
                    "env": [{"name": "A", "value": "b"}],
                    "resources": {"limits": {"nvidia.com/gpu": str(gpus)} if gpus else {}},
                },
            ],
        },
        "status": status,
    }


def refusal(status: int, reason: str) -> Exception:
    """What the Kubernetes client raises for an answer of this status; 0 where TLS failed."""
    from kubernetes.client import ApiException

    error: Exception = ApiException(status=status, reason=reason)
    return error


class FakeCluster:
    """Speaks as the Kubernetes client does; `faults` are raised first, one a call.

    A pod that was deleted is still listed `lingers` times; an `immortal` one for ever.
    """

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = {one["metadata"]["name"]: one for one in pods}
        self.faults: list[Exception] = []
        self.deleted: list[tuple[str, int]] = []
        self.created: list[str] = []
        self.secrets: dict[str, dict[str, Any]] = {}
        self.immortal = False
        self.lingers = 0
        self.api_client = SimpleNamespace(sanitize_for_serialization=deepcopy)

    def list_namespaced_pod(self, namespace: str, label_selector: str) -> Any:
        self._answer()
        self._let_go()
        wanted = dict(part.split("=") for part in label_selector.split(","))
        items = [one for one in self.pods.values() if wanted.items() <= one["metadata"]["labels"].items()]
        return SimpleNamespace(items=items)

    def create_namespaced_pod(self, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        name = body["metadata"]["name"]
        if name in self.pods:
            raise refusal(409, "AlreadyExists")
        self.created.append(name)
        self.pods[name] = {**body, "status": {"phase": "Pending"}}
        return self.pods[name]

    def read_namespaced_pod(self, name: str, namespace: str) -> dict[str, Any]:
        self._answer()
        return self._known(name)

    def delete_namespaced_pod(self, name: str, namespace: str, grace_period_seconds: int) -> None:
        self._answer()
        self._known(name)
        self.deleted.append((name, grace_period_seconds))
        if not self.lingers:
            self._let_go()

    def create_namespaced_secret(self, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        return self.secrets.setdefault(body["metadata"]["name"], body)

    def delete_namespaced_secret(self, name: str, namespace: str) -> None:
        self._answer()
        if self.secrets.pop(name, None) is None:
            raise refusal(404, "NotFound")

    def _let_go(self) -> None:
        """Let the deleted pods go once they have lingered long enough."""
        if self.immortal or not self.deleted:
            return
        if self.lingers:
            self.lingers -= 1
        else:
            for name, _ in self.deleted:
                self.pods.pop(name, None)

    def _known(self, name: str) -> dict[str, Any]:
        if name not in self.pods:
            raise refusal(404, "NotFound")
        return self.pods[name]

    def _answer(self) -> None:
        if self.faults:
            raise self.faults.pop(0)
