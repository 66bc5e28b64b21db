"""The local cluster's API: who may come in, what is refused and how, lists, watches, changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from kubernetes import watch
from kubernetes.client.rest import ApiException
from localkubeserver import ClusterServer, pod, running_cluster, status_of

pytestmark = pytest.mark.xdist_group("localkube api")  # one worker makes what its tests share


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "it", "--gpus", "1") as server:
        yield server


def refusal(cluster: ClusterServer, body: dict, **more) -> ApiException:
    with pytest.raises(ApiException) as caught:
        cluster.core.create_namespaced_pod("default", body, **more)
    return caught.value


class TestDoor:
    def test_anyone_may_ask_whether_it_is_up(self, cluster):
        assert status_of(f"{cluster.url}/readyz") == 200
        assert status_of(f"{cluster.url}/healthz") == 200

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
    def test_nothing_else_is_told_without_the_token(self, cluster, headers):
        assert status_of(f"{cluster.url}/version", headers) == 401
        assert status_of(f"{cluster.url}/api/v1/namespaces/default/pods", headers) == 401

    def test_a_command_is_not_run_without_the_token(self, cluster):
        cluster.run("closed", "sleep", "1000")
        cluster.until("closed", "Running")
        done = cluster.kubectl("--token=wrong", "exec", "closed", "--", "true")
        cluster.delete("closed", grace=0)
        assert done.returncode != 0

    def test_its_secrets_are_for_its_owner_alone(self, cluster):
        for name in ("token", "kubeconfig", "server.key"):
            assert (cluster.folder / name).stat().st_mode & 0o077 == 0

    def test_it_listens_on_this_machine_alone(self, cluster):
        assert cluster.url.startswith("https://127.0.0.1:")


class TestRefusals:
    def test_all_faults_of_a_pod_come_at_once_each_with_its_field(self, cluster):
        body = pod("Bad_Name", "true", container={"name": "B_"}, spec={"activeDeadlineSeconds": 0})
        error = refusal(cluster, body)
        assert error.status == 422
        fields = {cause["field"] for cause in json.loads(error.body)["details"]["causes"]}
        assert fields == {"metadata.name", "spec.containers[0].name", "spec.activeDeadlineSeconds"}

    def test_a_taken_name_is_a_conflict(self, cluster):
        cluster.run("taken", "true")
        error = refusal(cluster, pod("taken", "true"))
        assert (error.status, '"reason":"AlreadyExists"' in error.body) == (409, True)

    def test_a_mistyped_field_is_named(self, cluster):
        env = [{"name": "A", "value": 1}]
        error = refusal(cluster, pod("mistyped", "true", container={"env": env}))
        assert error.status == 400
        assert "spec.containers[0].env[0].value" in error.body

    def test_what_would_be_left_out_in_silence_is_refused(self, cluster):
        init = [{"name": "init", "image": "i", "command": ["true"]}]
        error = refusal(cluster, pod("unhonoured", "true", spec={"initContainers": init}))
        assert (error.status, "spec.initContainers" in error.body) == (422, True)

    def test_a_dry_run_checks_all_and_changes_nothing(self, cluster):
        cluster.core.create_namespaced_pod("default", pod("dry", "true"), dry_run="All")
        assert cluster.pod("dry") is None
        assert refusal(cluster, pod("Dry_", "true"), dry_run="All").status == 422


class TestChanges:
    def test_labels_can_be_patched(self, cluster):
        cluster.run("patched", "sleep", "1000")
        label = {"metadata": {"labels": {"already_checked": "True"}}}
        cluster.core.patch_namespaced_pod("patched", "default", label)
        assert cluster.pod("patched").metadata.labels == {"already_checked": "True"}
        cluster.delete("patched", grace=0)

    def test_what_runs_cannot_be_changed(self, cluster):
        cluster.run("fixed", "sleep", "1000")
        change = {"spec": {"containers": [{"name": "base", "image": "other"}]}}
        with pytest.raises(ApiException) as caught:
            cluster.core.patch_namespaced_pod("fixed", "default", change)
        cluster.delete("fixed", grace=0)
        assert caught.value.status == 422

    def test_an_image_can_be_changed_until_its_pod_has_a_node(self, cluster):
        wanted = {"resources": {"limits": {"nvidia.com/gpu": "99"}}}
        cluster.run("waiting", "true", container=wanted)
        changed = cluster.kubectl("set", "image", "pod/waiting", "base=other:1")
        (container,) = cluster.pod("waiting").spec.containers
        more = {"spec": {"containers": [{"name": "base", "command": ["false"]}]}}
        with pytest.raises(ApiException) as refused:
            cluster.core.patch_namespaced_pod("waiting", "default", more)
        cluster.delete("waiting", grace=0)
        assert (changed.returncode, container.image, container.command) == (0, "other:1", ["true"])
        assert refused.value.status == 422

    @pytest.mark.parametrize(
        "containers",
        [["base"], [{"image": "x"}], [{"name": []}], [{"name": "more", "image": "x"}], {"base": 1}, "base"],
    )
    def test_containers_that_are_none_are_refused(self, cluster, containers):
        cluster.run("unharmed", "true", container={"resources": {"limits": {"nvidia.com/gpu": "99"}}})
        with pytest.raises(ApiException) as refused:
            cluster.core.patch_namespaced_pod("unharmed", "default", {"spec": {"containers": containers}})
        cluster.delete("unharmed", grace=0)
        assert refused.value.status == 422

    def test_a_patch_from_an_old_version_is_a_conflict(self, cluster):
        old = cluster.run("versioned", "true").metadata.resource_version
        cluster.until("versioned", "Succeeded")
        with pytest.raises(ApiException) as caught:
            cluster.core.patch_namespaced_pod("versioned", "default", {"metadata": {"resourceVersion": old}})
        assert caught.value.status == 409

    def test_labels_that_are_no_texts_are_refused(self, cluster):
        cluster.run("labelled", "true")
        for labels in ({"a": 1}, ["a"], "a"):
            with pytest.raises(ApiException) as caught:
                cluster.core.patch_namespaced_pod("labelled", "default", {"metadata": {"labels": labels}})
            assert caught.value.status == 400

    def test_a_deletion_meant_for_another_pod_of_that_name_is_refused(self, cluster):
        cluster.run("precise", "sleep", "1000")
        with pytest.raises(ApiException) as caught:
            cluster.core.delete_namespaced_pod("precise", "default", body={"preconditions": {"uid": "other"}})
        cluster.delete("precise", grace=0)
        assert caught.value.status == 409

    @pytest.mark.parametrize("path", ["nodes/local", "namespaces/default"])
    def test_only_pods_can_be_deleted(self, cluster, path):
        assert "MethodNotAllowed" in cluster.kubectl("delete", "--raw", f"/api/v1/{path}").stderr


class TestSelection:
    def test_pods_are_listed_by_labels_and_fields(self, cluster):
        for name, color in (("sel-a", "red"), ("sel-b", "blue")):
            cluster.run(name, "true", labels={"color": color, "sel": "1"})

        def names(**more):
            return {each.metadata.name for each in cluster.core.list_namespaced_pod("default", **more).items}

        assert names(label_selector="sel,color!=red") == {"sel-b"}
        assert names(label_selector="color in (red, blue),!missing") == {"sel-a", "sel-b"}
        assert names(field_selector="metadata.name=sel-a") == {"sel-a"}
        cluster.until("sel-a", "Succeeded")
        assert "sel-a" in names(field_selector="status.phase=Succeeded,spec.nodeName=local")

    def test_a_selector_that_cannot_be_read_is_refused(self, cluster):
        with pytest.raises(ApiException) as caught:
            cluster.core.list_namespaced_pod("default", label_selector="a in (b")
        assert caught.value.status == 400


class TestWatch:
    def test_a_watch_tells_every_step_of_a_pods_life(self, cluster):
        version = cluster.core.list_namespaced_pod("default").metadata.resource_version
        cluster.run("watched", "true")
        cluster.until("watched", "Succeeded")
        cluster.delete("watched")
        seen = []
        for event in watch.Watch().stream(
            cluster.core.list_namespaced_pod,
            "default",
            resource_version=version,
            field_selector="metadata.name=watched",
            timeout_seconds=120,
        ):
            seen.append((event["type"], event["object"].status.phase))
            if event["type"] == "DELETED":
                break
        assert seen[0] == ("ADDED", "Pending")
        assert ("MODIFIED", "Running") in seen
        assert seen[-1] == ("DELETED", "Succeeded")

    def test_a_watch_ends_after_its_time_and_begins_with_what_is_there(self, cluster):
        cluster.run("present", "sleep", "1000")
        stream = watch.Watch().stream(
            cluster.core.list_namespaced_pod, "default", field_selector="metadata.name=present", timeout_seconds=1
        )
        assert next(event["type"] for event in stream) == "ADDED"
        cluster.delete("present", grace=0)

    def test_an_object_that_leaves_the_selection_is_deleted_to_the_watcher(self, cluster):
        version = cluster.run("leaving", "sleep", "1000", labels={"in": "yes"}).metadata.resource_version
        cluster.until("leaving", "Running")
        seen: list[str] = []

        def follow() -> None:
            stream = watch.Watch().stream(
                cluster.core.list_namespaced_pod,
                "default",
                resource_version=version,
                label_selector="in=yes",
                timeout_seconds=120,
            )
            for event in stream:
                seen.append(event["type"])
                if event["type"] == "DELETED":
                    return

        follower = threading.Thread(target=follow)
        follower.start()
        cluster.core.patch_namespaced_pod("leaving", "default", {"metadata": {"labels": {"in": "no"}}})
        follower.join(240)
        cluster.delete("leaving", grace=0)
        assert (set(seen[:-1]), seen[-1]) == ({"MODIFIED"}, "DELETED")


class TestTables:
    def test_a_client_that_asks_for_a_table_gets_columns_and_cells(self, cluster):
        cluster.run("tabled", "true")
        cluster.until("tabled", "Succeeded")
        shown = cluster.kubectl("get", "pod", "tabled", "--no-headers").stdout.split()
        assert shown[:4] == ["tabled", "0/1", "Completed", "0"]


def test_kinds_that_it_does_not_have_are_not_found(cluster):
    token = (cluster.folder / "token").read_text()
    header = {"Authorization": f"Bearer {token}"}
    assert status_of(f"{cluster.url}/apis/apps/v1/deployments", header) == 404
    assert status_of(f"{cluster.url}/api/v1/configmaps", header) == 404
    assert status_of(f"{cluster.url}/api/v1/nodes/local", header) == 200
