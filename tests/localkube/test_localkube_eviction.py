"""Evictions on the local cluster, as `kubectl drain` asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes.client.rest import ApiException
from localkubeserver import ClusterServer, running_cluster, wait_for

pytestmark = pytest.mark.xdist_group("localkube eviction")  # one worker makes what its tests share


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "it", "--gpus", "0") as server:
        yield server


def evict(cluster: ClusterServer, name: str, **options: object) -> object:
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": "default"},
        "deleteOptions": options,
    }
    return cluster.core.create_namespaced_pod_eviction(name, "default", body)


def disruption(cluster: ClusterServer, name: str) -> str | None:
    conditions = cluster.pod(name).status.conditions or []
    return next((each.reason for each in conditions if each.type == "DisruptionTarget"), None)


def test_an_evicted_pod_says_why_it_goes_gets_its_grace_and_is_gone(cluster):
    cluster.run("evicted", "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done")
    wait_for(lambda: cluster.pod("evicted").status.phase == "Running" and cluster.log("evicted"), "its start")
    evict(cluster, "evicted", gracePeriodSeconds=10)
    assert disruption(cluster, "evicted") == "EvictionByEvictionAPI"
    assert cluster.ended("evicted").exit_code == 5
    wait_for(lambda: cluster.pod("evicted") is None, "the pod's going")


def test_a_pod_that_has_ended_goes_at_once(cluster):
    cluster.run("ended", "true")
    cluster.until("ended", "Succeeded")
    evict(cluster, "ended")
    assert cluster.pod("ended") is None


def test_a_dry_run_and_an_eviction_of_another_pod_of_that_name_leave_it_alone(cluster):
    cluster.run("spared", "sleep", "1000")
    cluster.until("spared", "Running")
    evict(cluster, "spared", dryRun=["All"])
    with pytest.raises(ApiException, match="Precondition failed: uid") as refused:
        evict(cluster, "spared", preconditions={"uid": "another"})
    assert refused.value.status == 409
    assert cluster.pod("spared").metadata.deletion_timestamp is None
    assert disruption(cluster, "spared") is None
    cluster.delete("spared", grace=0)


@pytest.mark.parametrize("options", ["x", [1], {"preconditions": "x"}, {"gracePeriodSeconds": "5"}])
def test_options_that_cannot_be_read_are_refused_and_leave_the_pod_alone(cluster, options):
    cluster.run("kept", "sleep", "1000")
    with pytest.raises(ApiException) as evicted:
        cluster.core.create_namespaced_pod_eviction("kept", "default", {"deleteOptions": options})
    with pytest.raises(ApiException) as deleted:
        cluster.core.delete_namespaced_pod("kept", "default", body=options)
    assert (evicted.value.status, deleted.value.status) == (400, 400)
    assert cluster.pod("kept").metadata.deletion_timestamp is None
    cluster.delete("kept", grace=0)
    wait_for(lambda: cluster.pod("kept") is None, "the pod's going")


def test_a_pod_that_is_not_there_is_told(cluster):
    with pytest.raises(ApiException, match='pods \\\\"nobody\\\\" not found'):
        evict(cluster, "nobody")
