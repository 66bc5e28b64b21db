"""Logs of the local cluster over its API."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import pytest
from kubernetes.client.rest import ApiException
from localkubeserver import ClusterServer, pod, running_cluster, wait_for

pytestmark = pytest.mark.xdist_group("localkube logs")  # one worker makes what its tests share


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "it", "--gpus", "0") as server:
        server.run("counter", "sh", "-c", "seq 1000; printf end")
        server.until("counter", "Succeeded")
        yield server


def test_a_whole_log_comes_as_the_program_wrote_it(cluster):
    assert cluster.log("counter") == "".join(f"{n}\n" for n in range(1, 1001)) + "end"


def test_the_last_lines_can_be_asked_for(cluster):
    assert cluster.log("counter", tail_lines=3) == "999\n1000\nend"
    assert cluster.log("counter", tail_lines=0) == ""


def test_each_line_can_carry_its_time(cluster):
    first = cluster.log("counter", timestamps=True).splitlines()[0]
    moment, text = first.split(" ")
    assert text == "1"
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)
    assert datetime.timedelta(0) < age < datetime.timedelta(minutes=10)


def test_only_lines_since_a_time_come(cluster):
    script = "print(1, flush=True); import time; time.sleep(0.3); print(2, flush=True)"
    cluster.run("spread", "python3", "-S", "-c", script)
    cluster.until("spread", "Succeeded")
    lines = cluster.log("spread", timestamps=True).splitlines()
    assert cluster.log("spread", since_seconds=1000) == "1\n2\n"
    since = lines[1].split(" ")[0]
    path = f"/api/v1/namespaces/default/pods/spread/log?sinceTime={since}"
    assert cluster.kubectl("get", "--raw", path).stdout == "2\n"


def test_following_shows_lines_as_they_come_and_ends_after_the_status_says_terminated(cluster, tmp_path):
    gate = tmp_path / "gate"
    cluster.run("ticking", "sh", "-c", f"echo first; until [ -e {gate} ]; do sleep 0.02; done; echo last")
    wait_for(lambda: cluster.pod("ticking").status.phase != "Pending")
    stream = cluster.core.read_namespaced_pod_log("ticking", "default", follow=True, _preload_content=False)
    chunks = stream.stream(decode_content=True)
    assert next(chunks) == b"first\n"
    gate.touch()
    rest = b"".join(chunks)
    state = cluster.pod("ticking").status.container_statuses[0].state
    assert rest == b"last\n"
    assert state.terminated is not None


def test_both_streams_are_in_it(cluster):
    cluster.run("two-streams", "sh", "-c", "echo out; echo err >&2")
    cluster.until("two-streams", "Succeeded")
    assert sorted(cluster.log("two-streams").split()) == ["err", "out"]


def test_a_line_longer_than_a_piece_comes_whole(cluster):
    cluster.run("long-line", "python3", "-S", "-c", "print('x' * 100000); print('y')")
    cluster.until("long-line", "Succeeded")
    assert cluster.log("long-line") == "x" * 100000 + "\ny\n"
    assert cluster.log("long-line", timestamps=True).count("Z ") == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"previous": True}, "previous terminated container"),
        ({"container": "other"}, "container other is not valid for pod counter"),
        ({"tail_lines": "many"}, "invalid value for tailLines"),
    ],
)
def test_what_cannot_be_answered_is_refused(cluster, more, words):
    with pytest.raises(ApiException, match=words) as caught:
        cluster.log("counter", **more)
    assert caught.value.status == 400


def test_a_container_that_waits_to_start_has_no_log(cluster):
    cluster.run("unstarted", "true", container={"image": "i:missing"})
    cluster.waiting("unstarted", "ErrImagePull")
    with pytest.raises(ApiException, match="is waiting to start") as caught:
        cluster.log("unstarted")
    assert caught.value.status == 400
    cluster.delete("unstarted", grace=0)


def test_of_several_containers_one_must_be_named(cluster):
    spec = {"containers": [{"name": name, "image": "i", "command": ["echo", name]} for name in ("a", "b")]}
    cluster.core.create_namespaced_pod("default", pod("several", spec=spec))
    cluster.until("several", "Succeeded")
    with pytest.raises(ApiException, match="a container name must be specified"):
        cluster.log("several")
    assert cluster.log("several", container="b") == "b\n"


def test_the_log_of_a_pod_that_is_not_there_is_not_found(cluster):
    with pytest.raises(ApiException) as caught:
        cluster.log("nobody")
    assert caught.value.status == 404
