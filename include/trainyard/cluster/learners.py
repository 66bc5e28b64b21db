"""All that a run has on the cluster, as one value: a pod for each learner and, of several, the service between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from trainyard.cluster.labels import WORKSPACE, attempt_labels
from trainyard.cluster.run import PodRun
from trainyard.cluster.spec import training_pod


@dataclass(frozen=True)
class RunObjects:
    """What one attempt of a run is made of, as Kubernetes' v1 JSON, in the order in which it is created."""

    service: dict[str, Any] | None
    pods: tuple[dict[str, Any], ...]


def run_objects(run: PodRun) -> RunObjects:
    """Return the pods of all learners of an attempt, and their service; one learner alone has none."""
    learners = (replace(run, learner=number) for number in range(1, run.plan.learners + 1))
    return RunObjects(_service(run) if run.several else None, tuple(map(training_pod, learners)))


def _service(run: PodRun) -> dict[str, Any]:
    """Return what makes the cluster's DNS know the learners by name, also while none of them is ready."""
    ours = attempt_labels(run)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": run.prefix,
            "namespace": run.namespace,
            "labels": dict(ours),
            # Unlike a pod it mounts nothing that would say whose it is.
            "annotations": {WORKSPACE: str(run.volume)},
        },
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": ours},
    }
