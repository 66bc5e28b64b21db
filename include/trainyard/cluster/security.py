"""What a training program may do to its node: nothing. Fits the `restricted` pod security standard but for hostPath."""

from __future__ import annotations

from typing import Any

from trainyard.cluster.run import PodRun


def pod_security(run: PodRun) -> dict[str, Any]:
    """Return the pod's security context.

    The group owns the volumes that Kubernetes hands over by group; OnRootMismatch, because changing the group of a
    large dataset file by file would delay every start.
    """
    return {
        "runAsNonRoot": True,
        "runAsUser": run.user,
        "runAsGroup": run.group,
        "fsGroup": run.group,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(run: PodRun) -> dict[str, Any]:
    """Return the container's security context.

    With a read-only root a program writes nowhere but where its amount is bounded: /tmp, HOME, the run's own folders.
    """
    return {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": run.read_only_root,
        "capabilities": {"drop": ["ALL"]},
    }
