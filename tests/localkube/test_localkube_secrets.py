"""Secrets on the local cluster: made, found by containers, shown to nobody who looks at a pod, gone when deleted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from kubernetes.client.rest import ApiException
from localkubeserver import ClusterServer, running_cluster

from localkube.errors import ApiError
from localkube.secrets import new_secret

pytestmark = pytest.mark.xdist_group("localkube secrets")  # one worker makes what its tests share

VALUE = "s3cr$(HOME)\nline two é"
PRINT = ("python3", "-S", "-c", "import os, json; print(json.dumps(dict(os.environ)))")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "it", "--gpus", "0") as server:
        yield server


def _make(cluster: ClusterServer, name: str, **values: str) -> None:
    cluster.core.create_namespaced_secret("default", {"metadata": {"name": name}, "stringData": values})


def _from(secret: str, key: str, **more: bool) -> dict:
    return {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, **more}}}


def test_a_container_finds_the_keys_that_it_names_unchanged(cluster):
    _make(cluster, "own", TOKEN=VALUE, OTHER="not for it")
    env = [{"name": "PLAIN", "value": "1"}, _from("own", "TOKEN"), _from("own", "ABSENT", optional=True)]
    cluster.run("keys", *PRINT, container={"env": env})
    cluster.until("keys", "Succeeded")
    found = json.loads(cluster.log("keys"))
    assert (found["TOKEN"], found["PLAIN"]) == (VALUE, "1")
    assert {"OTHER", "ABSENT"} & found.keys() == set()


def test_env_from_brings_all_keys_and_env_goes_before(cluster):
    _make(cluster, "all", A="from secret", B="b")
    container = {"envFrom": [{"prefix": "P_", "secretRef": {"name": "all"}}], "env": [{"name": "P_A", "value": "own"}]}
    cluster.run("whole", *PRINT, container=container)
    cluster.until("whole", "Succeeded")
    found = json.loads(cluster.log("whole"))
    assert (found["P_A"], found["P_B"]) == ("own", "b")


def test_a_pod_shows_names_and_no_values(cluster):
    _make(cluster, "shown", TOKEN=VALUE)
    cluster.run("looked-at", "sleep", "1000", container={"env": [_from("shown", "TOKEN")]})
    cluster.until("looked-at", "Running")
    described = cluster.kubectl("describe", "pod", "looked-at").stdout
    told = described + cluster.kubectl("get", "pods,events", "-o", "yaml").stdout
    assert "<set to the key 'TOKEN' in secret 'shown'>" in described
    assert VALUE.splitlines()[0] not in told
    assert base64.b64encode(VALUE.encode()).decode()[:12] not in told
    cluster.delete("looked-at", grace=0)


def test_a_container_waits_for_a_secret_that_is_not_there(cluster):
    cluster.run("waits", "true", container={"env": [_from("nowhere", "TOKEN")]})
    assert 'secret "nowhere" not found' in cluster.waiting("waits", "CreateContainerConfigError").message
    cluster.delete("waits", grace=0)


def test_a_deleted_secret_is_gone_from_the_disk_too(cluster):
    _make(cluster, "brief", TOKEN=VALUE)
    (file,) = cluster.folder.glob("objects/secrets/default/brief.json")
    assert file.stat().st_mode & 0o077 == 0
    cluster.core.delete_namespaced_secret("brief", "default")
    assert not file.exists()
    with pytest.raises(ApiException) as gone:
        cluster.core.delete_namespaced_secret("brief", "default")
    assert gone.value.status == 404


def test_a_taken_name_is_a_conflict_and_nobody_may_list_or_patch(cluster):
    _make(cluster, "taken", A="1")
    asked = (
        (lambda: _make(cluster, "taken", A="2"), 409),
        (lambda: cluster.core.list_namespaced_secret("default"), 405),
        (lambda: cluster.core.patch_namespaced_secret("taken", "default", {"stringData": {"A": "2"}}), 405),
    )
    for ask, status in asked:
        with pytest.raises(ApiException) as refused:
            ask()
        assert refused.value.status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"metadata": {"name": "Upper"}}, 422),
        ({"metadata": {"name": "../etc"}}, 422),
        ({"metadata": ["a"]}, 400),
        ({"metadata": {"name": "a", "namespace": "other"}}, 400),
        ({"metadata": {"name": "a"}, "data": ["a"]}, 400),
        ({"metadata": {"name": "a"}, "data": {"K": "no base64: 5b1c0ffee"}}, 422),
        ({"metadata": {"name": "a"}, "stringData": {"K": 5}}, 422),
        ({"metadata": {"name": "a"}, "stringData": {"K/../": "5b1c0ffee"}}, 422),
        ({"metadata": {"name": "a"}, "stringData": {"K": "5b1c0ffee" * 200_000}}, 422),
    ],
)
def test_what_is_no_secret_is_refused_without_its_values(body, status):
    with pytest.raises(ApiError) as refused:
        new_secret(body, "default")
    assert refused.value.status == status
    assert "5b1c0ffee" not in str(refused.value.body())
