"""The training pod, whole, as a value; one small function a part."""

from __future__ import annotations

from typing import Any

from trainyard.cluster.environment import GPU, LEARNER, TERMINATION_LOG, command, environment
from trainyard.cluster.labels import pod_annotations, pod_labels
from trainyard.cluster.run import PodRun, WorkspaceVolume
from trainyard.cluster.security import container_security, pod_security
from trainyard.cluster.volumes import mounts, volumes
from trainyard.quantity import cpu_text, memory_text

__all__ = ["GPU", "LEARNER", "PodRun", "WorkspaceVolume", "training_pod"]

DISK = "ephemeral-storage"
CPU_BURST = 4
RESERVED_DISK = 1024**3


def training_pod(run: PodRun) -> dict[str, Any]:
    """Return the pod of one attempt of a run, as Kubernetes' v1 JSON."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(run), "spec": _spec(run)}


def _metadata(run: PodRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "namespace": run.namespace,
        "labels": pod_labels(run),
        "annotations": pod_annotations(run),
    }


def _spec(run: PodRun) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": run.plan.deadline_seconds,
        "terminationGracePeriodSeconds": run.grace_seconds,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "securityContext": pod_security(run),
        **_address(run),
        **_placement(run),
        "containers": [_container(run)],
        "volumes": volumes(run),
    }


def _address(run: PodRun) -> dict[str, Any]:
    """Give one of several learners a name that the others find it by, through the service of the run."""
    return {"hostname": run.name, "subdomain": run.prefix} if run.several else {}


def _placement(run: PodRun) -> dict[str, Any]:
    parts = {
        "priorityClassName": run.priority_class,
        "nodeSelector": dict(run.plan.node_selector),
        "tolerations": [dict(toleration) for toleration in run.plan.tolerations],
    }
    return {key: value for key, value in parts.items() if value}


def _container(run: PodRun) -> dict[str, Any]:
    return {
        "name": LEARNER,
        "image": run.plan.image,
        "imagePullPolicy": _pull_policy(run.plan.image),
        "command": command(run),
        "env": environment(run),
        "resources": _resources(run),
        "volumeMounts": mounts(run),
        "securityContext": container_security(run),
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _pull_policy(image: str) -> str:
    """Pull again only what may have changed: an image without a tag, or with one that moves by custom."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if tag not in ("", "latest") else "Always"


def _resources(run: PodRun) -> dict[str, dict[str, str]]:
    """Reserve memory and GPUs exactly.

    The cpu limit is loose: data loaders use a free processor, and no program takes a whole node from its neighbours.
    Of the scratch space little is reserved, or a small node would never do.
    """
    plan = run.plan
    exact = {"memory": memory_text(plan.memory), **({GPU: str(plan.gpus)} if plan.gpus else {})}
    return {
        "requests": {"cpu": cpu_text(plan.cpu_millis), DISK: memory_text(min(run.scratch, RESERVED_DISK)), **exact},
        "limits": {"cpu": cpu_text(plan.cpu_millis * CPU_BURST), DISK: memory_text(run.scratch), **exact},
    }
