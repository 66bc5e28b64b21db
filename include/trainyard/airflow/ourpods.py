"""All pods of this installation on the cluster, whichever run they are of: for the janitor."""

from __future__ import annotations

from typing import Any

from trainyard.airflow.trainingpods import TrainingPods
from trainyard.cluster.labels import MANAGED_BY, OURS, run_of
from trainyard.cluster.run import WorkspaceVolume
from trainyard.cluster.volumes import mounts_workspace

_GONE, _REPLACED = 404, 409


class OurPods(TrainingPods):
    """The pods of all runs in one namespace, as JSON data. Every call is tried again for a while."""

    _hint = "Let the workers' user of the cluster list and delete pods in the namespace of the training pods."

    def all(self, volume: WorkspaceVolume) -> list[dict[str, Any]]:
        """Return the pods that carry the service's labels and mount the workspace from this volume.

        Another installation in the same namespace has a workspace of its own. Raise TrainyardError S200 where the
        cluster does not answer, or refuses.
        """
        selector = f"{MANAGED_BY}={OURS}"
        found = self._asked("the janitor", "list_namespaced_pod", self._namespace, label_selector=selector)
        pods = [self._data(pod) for pod in found.items]
        return [pod for pod in pods if run_of(pod["metadata"]["labels"]) and mounts_workspace(pod, volume)]

    def remove(self, pod: dict[str, Any], grace_seconds: int) -> None:
        """Remove this very pod, not one that has got its name by now; one that is gone is fine."""
        metadata = pod["metadata"]
        name, body = metadata["name"], {"gracePeriodSeconds": grace_seconds, "preconditions": {"uid": metadata["uid"]}}
        self._asked("the janitor", "delete_namespaced_pod", name, self._namespace, body=body, judged=(_GONE, _REPLACED))
