"""A pod between the end of its containers and its own: a kubelet shows that state too, and the service meets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from local_cluster_server import ClusterServer, running_cluster, wait_for
from samples import LIMITS

from localkube.__main__ import main
from trainyard.cluster.podclient import TrainingPods
from trainyard.doctor.probe import Probe
from trainyard.domain.names import RunKey
from trainyard.settings import read_settings
from trainyard.workspace.layout import Workspace


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path / "it", "--gpus", "1", "--phase-lag", "2") as server:
        yield server


def _interim(cluster: ClusterServer, name: str) -> Any:
    """Return how the container ended of a pod whose phase is still Running."""

    def reached() -> Any:
        status = cluster.pod(name).status
        state = status.container_statuses[0].state if status.container_statuses else None
        return status.phase == "Running" and state and state.terminated

    return wait_for(reached, f"the end of the container of {name} before the pod's")


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (7, "Failed")])
def test_a_container_is_seen_to_have_ended_before_its_pod_has(cluster, code, phase):
    cluster.run("ending", "sh", "-c", f"exit {code}")
    assert _interim(cluster, "ending").exit_code == code
    cluster.until("ending", phase)


def test_a_server_that_dies_in_between_tells_the_phase_after_its_restart(cluster):
    cluster.run("ending", "true")
    _interim(cluster, "ending")
    cluster.kill()
    cluster.start()
    cluster.until("ending", "Succeeded")


def test_a_pod_that_is_deleted_in_between_goes(cluster):
    cluster.run("ending", "true")
    _interim(cluster, "ending")
    cluster.delete("ending", grace=0)
    wait_for(lambda: cluster.pod("ending") is None, "the pod's removal")


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


def test_the_doctors_probe_calls_such_a_cluster_well_and_leaves_no_folder(cluster, tmp_path):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    pods = _Pods(cluster)
    settings = read_settings({"TRAINYARD_WORKSPACE": str(workspace)})
    found = Probe(pods, Workspace(workspace), LIMITS, settings, 30).whole(LIMITS.frameworks[0], Event())
    assert [(one.check, one.state) for one in found] == [("image", "ok"), ("workspace", "ok")], found
    assert pods.interim
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize("lag", ["-1", "11", "soon", "nan"])
def test_a_lag_that_makes_no_sense_is_refused(lag, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path), f"--phase-lag={lag}"])
    assert "--phase-lag" in capsys.readouterr().err
