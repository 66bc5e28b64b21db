"""The doctor's probe on a cluster that shows the end of a container before the pod's, as a kubelet does."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

from localkubeserver import ClusterServer, running_cluster
from samples import LIMITS

from trainyard.cluster.podclient import TrainingPods
from trainyard.doctor.probe import Probe
from trainyard.domain.names import RunKey
from trainyard.settings import read_settings
from trainyard.workspace.layout import Workspace


class _Pods:
    """The probe's port over the service's own way to ask a cluster."""

    def __init__(self, cluster: ClusterServer) -> None:
        self._pods = TrainingPods(cluster.core, "default", 10)
        self.interim = False

    def permit(self) -> None:
        """Everything is allowed."""

    def create(self, body: dict[str, Any]) -> None:
        self._pods.create(body)

    def look(self, probe_id: str) -> dict[str, Any] | None:
        pod = self._pods.newest(RunKey.first_of(probe_id))
        states = [each["state"] for each in pod["status"].get("containerStatuses", ())] if pod else []
        self.interim |= (
            bool(pod) and pod["status"]["phase"] == "Running" and any("terminated" in each for each in states)
        )
        return pod

    def remove(self, probe_id: str) -> None:
        self._pods.remove_all(RunKey.first_of(probe_id))


def test_the_doctors_probe_calls_such_a_cluster_well_and_leaves_no_folder(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    settings = read_settings({"TRAINYARD_WORKSPACE": str(workspace)})
    with running_cluster(tmp_path / "it", "--gpus", "1", "--phase-lag", "5") as cluster:
        pods = _Pods(cluster)
        found = Probe(pods, Workspace(workspace), LIMITS, settings, 120).whole(LIMITS.frameworks[0], Event())
    assert [(one.check, one.state) for one in found] == [("image", "ok"), ("workspace", "ok")], found
    assert pods.interim
    assert list(workspace.iterdir()) == []
