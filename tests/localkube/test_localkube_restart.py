"""Pods outlive the local cluster's server, and a new server knows how they fared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import watch
from kubernetes.client.rest import ApiException
from localkubeserver import ClusterServer, running_cluster, wait_for

from localkube import processes, records
from localkube.runtime import end_all_pods


@pytest.fixture
def cluster(tmp_path) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path / "it", "--gpus", "2") as server:
        yield server


def record(cluster: ClusterServer, name: str, kind: str = records.STARTED) -> dict:
    uid = cluster.pod(name).metadata.uid
    return wait_for(lambda: records.read(str(cluster.folder / "pods" / uid / "base"), kind))


def exists(pid: int) -> bool:
    """Return whether a process runs; one that is dead but not yet collected does not."""
    return processes.identity(pid) is not None


LIMITS = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}


def test_pods_go_on_while_no_server_runs_and_their_ends_are_known_after(cluster, tmp_path):
    gate = tmp_path / "gate"
    for name, code in (("good", 0), ("bad", 5)):
        cluster.run(
            name,
            "sh",
            "-c",
            f"echo begin; until [ -e {gate} ]; do sleep 0.02; done; echo end; exit {code}",
            container=LIMITS,
        )
    cluster.run("still", "sleep", "1000")
    pids = {name: record(cluster, name) for name in ("good", "bad", "still")}
    held = {name: cluster.pod(name).metadata.annotations for name in ("good", "bad")}
    cluster.kill(signal.SIGKILL)
    gate.touch()
    wait_for(lambda: not exists(pids["good"]["pid"]) and not exists(pids["bad"]["pid"]), "the ends of both programs")
    cluster.start()
    assert cluster.ended("good").exit_code == 0
    assert cluster.ended("bad").exit_code == 5
    assert cluster.log("good") == "begin\nend\n"
    assert {name: cluster.pod(name).metadata.annotations for name in held} == held
    assert cluster.pod("still").status.phase == "Running"
    assert record(cluster, "still") == pids["still"]


def test_pods_that_a_shutdown_ends_are_interrupted_and_one_that_had_ended_before_is_not(cluster):
    cluster.run("done", "sh", "-c", "exit 5")
    assert cluster.ended("done").exit_code == 5
    cluster.run("going", "sleep", "1000")
    record(cluster, "going")
    cluster.kill()
    end_all_pods(cluster.folder, 0.5)
    cluster.start()
    going = cluster.until("going", "Failed")
    assert (going.status.reason, "shutdown" in going.status.message) == ("Terminated", True)
    assert cluster.pod("done").status.reason is None


def test_gpus_stay_with_their_pods_over_a_restart(cluster):
    for name in ("one", "two", "three"):
        cluster.run(name, "sleep", "1000", container=LIMITS)
    record(cluster, "one")
    record(cluster, "two")
    cluster.kill()
    cluster.start()
    assert cluster.pod("three").status.phase == "Pending"
    held = cluster.pod("one").metadata.annotations
    cluster.delete("one")
    cluster.until("three", "Running")
    assert cluster.pod("three").metadata.annotations == held


def test_a_deletion_under_way_is_finished_by_the_next_server(cluster):
    cluster.run("dying", "sh", "-c", "trap '' TERM; echo up; while true; do sleep 0.1; done")
    wait_for(lambda: cluster.pod("dying").status.phase == "Running" and "up" in cluster.log("dying"))
    cluster.delete("dying", grace=2)
    cluster.kill()
    cluster.start()
    wait_for(lambda: cluster.pod("dying") is None, "the pod's removal")


def test_sigterm_ends_the_server_alone(cluster):
    cluster.run("staying", "sleep", "1000")
    pid = record(cluster, "staying")["pid"]
    cluster.kill(signal.SIGTERM)
    assert exists(pid)


def test_a_lost_shim_takes_its_container_along_and_is_told_of(cluster):
    cluster.run("orphaned", "sh", "-c", "(setsid sleep 43210 &); sleep 1000")
    pid, shim = record(cluster, "orphaned")["pid"], record(cluster, "orphaned", records.SHIM)["pid"]
    os.kill(shim, signal.SIGKILL)
    end = cluster.ended("orphaned")
    assert (end.exit_code, end.reason) == (137, "ContainerStatusUnknown")
    assert not exists(pid)
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"43210" in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def new_version(cluster: ClusterServer, name: str) -> str:
    return cluster.run(name, "true").metadata.resource_version


def test_versions_never_repeat_over_a_restart(cluster):
    before = new_version(cluster, "a")
    cluster.kill()
    cluster.start()
    assert int(new_version(cluster, "b")) > int(before)


def test_a_watch_from_a_version_that_is_forgotten_is_told_so(cluster):
    before = new_version(cluster, "a")
    cluster.kill()
    cluster.start()
    stream = watch.Watch().stream(
        cluster.core.list_namespaced_pod, "default", resource_version=before, timeout_seconds=5
    )
    with pytest.raises(ApiException) as caught:
        list(stream)
    assert caught.value.status == 410


def test_two_servers_never_run_over_one_folder(cluster):
    second = ClusterServer(cluster.folder)
    with pytest.raises(AssertionError, match="a server already runs the cluster"):
        second.start()
    second.stop()


class TestEndAllPods:
    def test_it_ends_every_pod_without_a_server(self, cluster):
        cluster.run("plain", "sleep", "1000")
        cluster.run("deaf", "sh", "-c", "trap '' TERM; (setsid sleep 32109 &); while true; do sleep 0.1; done")
        cluster.run("over", "true")
        pids = [record(cluster, name)["pid"] for name in ("plain", "deaf")]
        cluster.until("over", "Succeeded")
        cluster.kill(signal.SIGTERM)
        command = [sys.executable, "-m", "localkube", "end-pods", "--folder", str(cluster.folder), "--grace", "0.5"]
        counts = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
        assert counts == ["2\n", "0\n"]
        assert not any(map(exists, pids))
        cluster.start()
        assert {cluster.ended(name).exit_code for name in ("plain", "deaf")} == {143, 137}

    def test_a_pid_that_was_given_out_again_is_left_alone(self, tmp_path):
        folder = tmp_path / "pods" / "uid" / "base"
        folder.mkdir(parents=True)
        records.write(str(folder), records.SPEC, {})
        for kind in (records.SHIM, records.STARTED):
            records.write(str(folder), kind, {"pid": os.getpid(), "identity": "another boot:1"})
        assert end_all_pods(tmp_path, 0) == 0

    def test_a_folder_without_a_cluster_has_nothing_to_end(self, tmp_path):
        assert end_all_pods(tmp_path / "none", 0) == 0
