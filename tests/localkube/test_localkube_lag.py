"""A pod between the end of its containers and its own: a kubelet shows that state too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from localkubeserver import ClusterServer, running_cluster, wait_for


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path / "it", "--gpus", "1", "--phase-lag", "5") as server:
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
