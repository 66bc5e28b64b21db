"""GPUs of the local cluster: handed out first come, first served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from localkubeserver import ClusterServer, running_cluster, wait_for


@pytest.fixture
def cluster(tmp_path) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path / "it", "--gpus", "2") as server:
        yield server


def ask(cluster: ClusterServer, name: str, gpus: int, *command: str) -> None:
    script = ("sh", "-c", "echo gpus=$CUDA_VISIBLE_DEVICES; sleep 1000")
    limits = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    cluster.run(name, *(command or script), container={"resources": limits})


def is_waiting(cluster: ClusterServer, name: str) -> bool:
    conditions = cluster.pod(name).status.conditions or []
    return any(each.type == "PodScheduled" and each.reason == "Unschedulable" for each in conditions)


def visible(cluster: ClusterServer, name: str) -> str:
    return wait_for(lambda: cluster.pod(name).status.phase == "Running" and cluster.log(name), f"the log of {name}")


def test_pods_get_different_gpus_and_later_ones_wait_for_theirs(cluster):
    ask(cluster, "first", 1)
    ask(cluster, "second", 1)
    assert {visible(cluster, "first"), visible(cluster, "second")} == {"gpus=0\n", "gpus=1\n"}
    ask(cluster, "third", 1)
    wait_for(lambda: is_waiting(cluster, "third"), "the third pod's waiting")
    assert "FailedScheduling" in cluster.reasons("third")
    freed = visible(cluster, "second")
    cluster.delete("second")
    assert visible(cluster, "third") == freed


def test_a_small_pod_does_not_overtake_a_large_one_but_one_without_gpus_does(cluster):
    ask(cluster, "holder", 1)
    visible(cluster, "holder")
    ask(cluster, "large", 2)
    ask(cluster, "small", 1)
    ask(cluster, "plain", 0)
    assert visible(cluster, "plain") == "gpus=\n"
    assert is_waiting(cluster, "large")
    assert is_waiting(cluster, "small")
    cluster.delete("holder")
    assert visible(cluster, "large") == "gpus=0,1\n"
    assert is_waiting(cluster, "small")
    cluster.delete("large")
    assert visible(cluster, "small") == "gpus=0\n"


def test_a_pod_that_wants_more_than_there_are_waits_and_holds_up_nobody(cluster):
    ask(cluster, "greedy", 3)
    ask(cluster, "modest", 2)
    assert visible(cluster, "modest") == "gpus=0,1\n"
    assert is_waiting(cluster, "greedy")


def test_a_finished_pod_gives_its_gpus_back_though_it_is_not_deleted(cluster):
    ask(cluster, "done", 2, "true")
    cluster.until("done", "Succeeded")
    ask(cluster, "next", 2)
    assert visible(cluster, "next") == "gpus=0,1\n"


def test_containers_of_one_pod_share_its_gpus_out(cluster):
    part = {"image": "i", "command": ["sh", "-c", "echo gpus=$CUDA_VISIBLE_DEVICES"]}
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    names = ("base", "other")
    cluster.run("pair", spec={"containers": [{**part, **limits, "name": name} for name in names]})
    cluster.until("pair", "Succeeded")
    assert {cluster.log("pair", container=name) for name in names} == {"gpus=0\n", "gpus=1\n"}


def test_the_log_of_a_pod_that_has_no_node_yet_is_empty(cluster):
    ask(cluster, "greedy", 3)
    wait_for(lambda: is_waiting(cluster, "greedy"))
    assert cluster.log("greedy") == ""


def test_no_client_can_take_a_pods_gpus_away_or_make_some_up(cluster):
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    annotation = "localkube/gpus"
    cluster.run("held", "sleep", "1000", container=limits, annotations={annotation: "7"})
    cluster.until("held", "Running")
    change = {"metadata": {"annotations": {annotation: None, "own": "1"}}}
    changed = cluster.core.patch_namespaced_pod("held", "default", change)
    assert changed.metadata.annotations == {annotation: "0", "own": "1"}


def test_the_node_tells_its_gpus(cluster):
    node = cluster.core.read_node("local")
    assert node.status.allocatable["nvidia.com/gpu"] == "2"
