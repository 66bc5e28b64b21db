"""Pods that find one another by name, headless services, groups that are placed whole, several nodes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.rest import ApiException
from localkubeserver import ClusterServer, running_cluster, wait_for

from localkube import network
from localkube.__main__ import main
from localkube.config import Config
from localkube.errors import LocalkubeError
from localkube.machine import choose_network
from localkube.podnetwork import PodNetwork
from localkube.store import Store

NETWORKS = ["namespaces", "loopback"] if choose_network("auto") == network.NAMESPACES else ["loopback"]

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "team", "labels": {"of": "team"}},
    "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"run": "team"}},
}
# Each learner says at its own name who it is, and asks both of them at a port that they have in common.
TALK = """
import socket, sys, time
own, *names = sys.argv[1:]
server = socket.create_server((own, 2222))
if not __import__("os").fork():
    while True:
        connection, _ = server.accept()
        connection.sendall(own.encode())
        connection.close()
for name in names:
    for _ in range(600):
        try:
            print(name, "is", socket.create_connection((name, 2222), 1).recv(100).decode(), flush=True)
            break
        except OSError:
            time.sleep(0.1)
print("host", socket.gethostname(), flush=True)
time.sleep(1000)
"""


@pytest.fixture(params=NETWORKS)
def cluster(request, tmp_path) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path / "it", "--gpus", "4", "--nodes", "2", "--network", request.param) as server:
        yield server


@pytest.fixture
def plain(tmp_path) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path / "it", "--gpus", "4", "--nodes", "2", "--network", "loopback") as server:
        yield server


def member(
    cluster: ClusterServer, number: int, *command: str, gpus: int = 0, group: int = 0, name: str = "team"
) -> None:
    spec: dict[str, Any] = {"hostname": f"{name}-{number}", "subdomain": name}
    limits = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    labels = {"run": name, **({"kueue.x-k8s.io/pod-group-name": name} if group else {})}
    annotations = {"kueue.x-k8s.io/pod-group-total-count": str(group)} if group else {}
    container = {"command": list(command or ("sleep", "1000")), "resources": limits}
    pod = {"name": "base", "image": "any/image:1", **container}
    spec |= {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [pod]}
    metadata = {"name": f"{name}-{number}", "labels": labels, "annotations": annotations}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    cluster.core.create_namespaced_pod("default", body)


def placed(cluster: ClusterServer, name: str) -> str:
    found = cluster.pod(name)
    return (found.spec.node_name or "") if found else ""


def test_pods_reach_each_other_by_the_names_that_their_service_gives_them_each_on_the_same_port(cluster):
    cluster.core.create_namespaced_service("default", SERVICE)
    names = ["team-0.team", "team-1.team.default.svc.cluster.local"]
    for number in (0, 1):
        member(cluster, number, "python3", "-c", TALK, f"team-{number}.team", *names)
    for number in (0, 1):
        cluster.until(f"team-{number}", "Running")
        log = wait_for(lambda number=number: (text := cluster.log(f"team-{number}")).count("\n") == 3 and text)
        assert log == f"{names[0]} is team-0.team\n{names[1]} is team-1.team\nhost team-{number}\n"
    assert len({cluster.pod(f"team-{number}").status.pod_ip for number in (0, 1)}) == 2


@pytest.mark.skipif("namespaces" not in NETWORKS, reason="this machine has no network namespaces")
def test_of_many_pods_that_start_at_once_none_finds_the_network_half_made(tmp_path):
    config = Config(folder=tmp_path, network=network.NAMESPACES)
    made = PodNetwork(Store(tmp_path), config)

    async def all_at_once() -> list[BaseException | None]:
        return await asyncio.gather(*(made.provide() for _ in range(8)), return_exceptions=True)

    try:
        assert asyncio.run(all_at_once()) == [None] * 8
    finally:
        asyncio.run(made.drop_unused())
    assert not Path(f"/run/netns/{network.name_of(str(tmp_path))}").exists()


def test_names_follow_the_service_and_the_pods_that_come_and_go(cluster):
    member(cluster, 0)
    cluster.until("team-0", "Running")

    def hosts() -> str:
        return cluster.kubectl("exec", "team-0", "--", "cat", "/etc/hosts").stdout

    assert "team-0.team" not in hosts()
    assert " team-0\n" in hosts()
    cluster.core.create_namespaced_service("default", SERVICE)
    assert "team-0.team" in hosts()
    member(cluster, 1)
    wait_for(lambda: "team-1.team" in hosts(), "the name of the second pod")
    cluster.delete("team-1", 0)
    wait_for(lambda: "team-1.team" not in hosts(), "the end of that name")
    cluster.core.delete_namespaced_service("team", "default")
    assert "team-0.team" not in hosts()


def test_a_command_in_a_container_has_its_name_and_its_network(cluster):
    member(cluster, 0)
    cluster.until("team-0", "Running")
    inside = cluster.kubectl("exec", "team-0", "--", "sh", "-c", "hostname; cat /proc/net/dev").stdout
    assert inside.startswith("team-0\n")
    has_own = "eth0" in inside and inside.count(":") == 2
    assert has_own is ("network namespaces" in (cluster.folder / "server.log").read_text())


@pytest.mark.skipif("namespaces" not in NETWORKS, reason="this machine allows no network namespaces")
def test_the_network_of_a_cluster_goes_with_its_last_pod(tmp_path):
    with running_cluster(tmp_path / "it", "--network", "namespaces") as cluster:
        name = network.name_of(str(cluster.folder.resolve()))
        member(cluster, 0)
        cluster.until("team-0", "Running")
        assert os.path.exists(f"/run/netns/{name}")
        cluster.delete("team-0", 0)
        wait_for(lambda: not os.path.exists(f"/run/netns/{name}"), "the end of the network")
        member(cluster, 0)
        cluster.until("team-0", "Running")
    assert not os.path.exists(f"/run/netns/{name}")


def test_pods_with_names_go_on_when_the_server_is_killed(cluster):
    cluster.core.create_namespaced_service("default", SERVICE)
    member(cluster, 0, "python3", "-c", TALK, "team-0.team", "team-0.team", "team-1.team")
    cluster.until("team-0", "Running")
    address = cluster.pod("team-0").status.pod_ip
    cluster.kill()
    cluster.start()
    member(cluster, 1, "python3", "-c", TALK, "team-1.team")
    wait_for(lambda: "team-1.team is team-1.team" in cluster.log("team-0"), "what they say to each other")
    assert cluster.pod("team-0").status.pod_ip == address


def test_a_machine_without_mount_namespaces_refuses_pods_with_names_and_says_why(tmp_path):
    with running_cluster(tmp_path / "it", "--isolation", "paths") as cluster:
        with pytest.raises(ApiException) as caught:
            member(cluster, 0)
        assert caught.value.status == 422
        assert "allows no mount namespaces" in caught.value.body


class TestServices:
    def test_a_service_is_listed_by_its_labels_shown_and_deleted(self, plain):
        plain.core.create_namespaced_service("default", SERVICE)
        (found,) = plain.core.list_namespaced_service("default", label_selector="of=team").items
        assert (found.metadata.name, found.spec.cluster_ip, found.spec.selector) == ("team", "None", {"run": "team"})
        assert plain.core.list_namespaced_service("default", label_selector="of=others").items == []
        assert "team" in plain.kubectl("get", "services").stdout
        plain.kill()
        plain.start()
        plain.core.delete_namespaced_service("team", "default")
        with pytest.raises(ApiException) as caught:
            plain.core.read_namespaced_service("team", "default")
        assert caught.value.status == 404

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"spec": {"selector": {"run": "team"}}}, 422),
            ({"spec": {"clusterIP": "None", "type": "NodePort"}}, 422),
            ({"spec": {"clusterIP": "None", "selector": {"run": 1}}}, 400),
            ({"metadata": {"name": "Team_1"}}, 422),
            ({"kind": "Pod"}, 400),
        ],
    )
    def test_a_service_that_would_not_work_is_refused(self, plain, change, status):
        with pytest.raises(ApiException) as caught:
            plain.core.create_namespaced_service("default", {**SERVICE, **change})
        assert caught.value.status == status

    def test_a_name_is_taken_once(self, plain):
        plain.core.create_namespaced_service("default", SERVICE)
        with pytest.raises(ApiException) as caught:
            plain.core.create_namespaced_service("default", SERVICE)
        assert caught.value.status == 409


class TestGroups:
    def test_a_group_waits_until_it_is_whole_and_until_there_is_room_for_all_of_it(self, plain):
        member(plain, 0, gpus=1, name="holder")
        wait_for(lambda: placed(plain, "holder-0"), "the holder's node")
        for number in (0, 1):
            member(plain, number, gpus=2, group=2)
        member(plain, 0, gpus=1, name="later")
        member(plain, 0, name="free")
        wait_for(lambda: placed(plain, "free-0"), "the node of one without GPUs")
        assert [placed(plain, name) for name in ("team-0", "team-1", "later-0")] == ["", "", ""]
        plain.delete("holder-0", 0)
        wait_for(lambda: placed(plain, "team-0") and placed(plain, "team-1"), "the group's nodes")
        assert {placed(plain, "team-0"), placed(plain, "team-1")} == {"local", "local-2"}

    def test_a_part_of_a_group_gets_nothing(self, plain):
        member(plain, 0, gpus=1, group=2)
        member(plain, 0, gpus=4, group=1, name="other")
        member(plain, 0, gpus=2, name="alone")
        wait_for(lambda: placed(plain, "alone-0"), "the pod that is no group's")
        conditions = plain.pod("team-0").status.conditions
        assert [each.message for each in conditions] == ["the pod group has 1 of its 2 pods."]

    def test_without_groups_each_pod_takes_what_it_gets(self, plain):
        for number in range(3):
            member(plain, number, gpus=2)
        wait_for(lambda: placed(plain, "team-0") and placed(plain, "team-1"), "two of three")
        assert placed(plain, "team-2") == ""


class TestNodes:
    def test_each_node_has_its_part_of_the_gpus_and_no_pod_spans_two(self, plain):
        nodes = {node.metadata.name: node.status.capacity["nvidia.com/gpu"] for node in plain.core.list_node().items}
        assert nodes == {"local": "2", "local-2": "2"}
        member(plain, 0, gpus=3)
        member(plain, 1, gpus=2)
        wait_for(lambda: placed(plain, "team-1"), "the one that fits")
        assert placed(plain, "team-0") == ""
        assert "0/2 nodes are available" in plain.pod("team-0").status.conditions[0].message

    def test_gpus_are_shared_out_as_evenly_as_they_can_be(self, tmp_path):
        shares = Config(tmp_path, gpus=("0", "1", "2", "3", "4"), nodes=3).node_gpus
        assert shares == {"local": ("0", "1"), "local-2": ("2", "3"), "local-3": ("4",)}

    def test_nodes_that_are_no_more_are_taken_out(self, tmp_path):
        with running_cluster(tmp_path / "it", "--nodes", "3") as cluster:
            cluster.kill()
            cluster.options = ("--nodes", "1")
            cluster.start()
            assert [node.metadata.name for node in cluster.core.list_node().items] == ["local"]

    @pytest.mark.parametrize("count", ["0", "-1", "101", "many"])
    def test_a_number_of_nodes_that_makes_no_cluster_is_refused(self, tmp_path, count, capsys):
        with pytest.raises(SystemExit):
            main(["serve", "--folder", str(tmp_path / "it"), "--nodes", count])
        assert "is not from 1 to 100 nodes" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0 and NETWORKS[0] == "namespaces", reason="this machine allows them")
def test_a_network_that_this_machine_does_not_allow_is_refused_with_the_reason():
    with pytest.raises(LocalkubeError, match="does not allow network namespaces"):
        choose_network("namespaces")


def test_no_probe_of_the_network_is_left():
    listed = subprocess.run(["ls", "/run/netns"], capture_output=True, text=True, check=False).stdout
    assert f"localkube-probe-{os.getpid()}" not in listed
