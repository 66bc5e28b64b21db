"""The probe pod: it is made as trainings' pods are, it says what is wrong, and nothing of it stays."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pod_standard import violations
from samples import LIMITS, RUN

from trainyard.cluster.spec import training_pod
from trainyard.doctor.probe import IMAGE, WORKSPACE, Probe
from trainyard.doctor.probepod import OTHER_WORKSPACE, images_of, probe_run
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings
from trainyard.workspace.layout import Workspace

FIRST = LIMITS.frameworks[0]


def ended(code: int) -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
    status = {"name": "learner", "state": state}
    return {"phase": "Failed" if code else "Succeeded", "containerStatuses": [status]}


def waiting(reason: str, message: str) -> dict[str, Any]:
    status = {"name": "learner", "state": {"waiting": {"reason": reason, "message": message}}}
    return {"phase": "Pending", "containerStatuses": [status]}


@dataclass
class OnePod:
    """A cluster for one pod: it copies the word if it shares the workspace, and gets a status."""

    root: Path
    status: dict[str, Any] = field(default_factory=lambda: ended(0))
    shares: bool = True
    permits: bool = True
    create_fails: bool = False
    remove_fails: bool = False
    there: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)
    looks: int = 0
    removed: list[str] = field(default_factory=list)

    def permit(self) -> None:
        if not self.permits:
            raise TrainyardError("S200", "not allowed to create pods here", "Allow it.")

    def create(self, body: dict[str, Any]) -> None:
        if self.create_fails:
            raise TrainyardError("S101", "the cluster is full", "Wait.")
        self.made.append(body)
        probe_id = body["metadata"]["labels"]["trainyard/model-id"]
        self.there[probe_id] = {**body, "status": self.status}
        if self.shares:
            folder = self.root / "probes" / probe_id
            (folder / "result" / "word").write_text((folder / "data" / "word").read_text())

    def look(self, probe_id: str) -> dict[str, Any] | None:
        self.looks += 1
        return self.there.get(probe_id)

    def remove(self, probe_id: str) -> None:
        self.removed.append(probe_id)
        if self.remove_fails:
            raise TrainyardError("S200", "the cluster does not answer", "")
        self.there.pop(probe_id, None)


def look(pods: OnePod, seconds: float = 5, image: bool = False, stop: Event | None = None) -> dict[str, Any]:
    settings = read_settings({"TRAINYARD_WORKSPACE": str(pods.root)})
    probe = Probe(pods, Workspace(pods.root), LIMITS, settings, seconds)
    found = (probe.image if image else probe.whole)(FIRST, stop or Event())
    assert [one.check for one in found][:2] == ([IMAGE] if image else [IMAGE, WORKSPACE])
    return {one.check: one for one in found}


def test_a_word_that_comes_back_says_that_image_and_workspace_are_well(tmp_path):
    pods = OnePod(tmp_path)
    found = look(pods)
    assert all(one.ok for one in found.values())
    assert (pods.there, list(tmp_path.iterdir())) == ({}, [])


def test_the_probe_is_a_training_pod_without_a_gpu_where_those_with_gpus_go(tmp_path):
    settings = read_settings({"TRAINYARD_WORKSPACE_VOLUME": "claim:shared", "TRAINYARD_NAMESPACE": "trainings"})
    pod = training_pod(probe_run("doctor-1", FIRST, LIMITS, settings, Workspace(tmp_path), 30))
    assert violations(pod) == []
    assert pod["metadata"]["namespace"] == "trainings"
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "shared"}
    assert spec["securityContext"]["runAsUser"] == settings.pod_user
    assert spec["activeDeadlineSeconds"] == 30
    assert container["image"] == FIRST.image
    assert "nvidia.com/gpu" not in container["resources"]["limits"]


@pytest.mark.parametrize("words", ["manifest unknown", "connection refused"])
def test_an_image_that_does_not_come_is_told_in_the_clusters_words_at_once(tmp_path, words):
    pods = OnePod(tmp_path, waiting("ErrImagePull", words), shares=False)
    found = look(pods, seconds=2)
    assert pods.looks == 1
    assert not found[IMAGE].ok
    assert f"does not arrive (ErrImagePull): {words}" in found[IMAGE].message
    assert "has no image" in found[WORKSPACE].message
    assert pods.there == {}


@pytest.mark.parametrize("status", [ended(OTHER_WORKSPACE), ended(0)])
def test_a_pod_that_sees_another_workspace_is_told_so(tmp_path, monkeypatch, status):
    monkeypatch.setattr("trainyard.doctor.probe._ARRIVAL_SECONDS", 0)
    found = look(OnePod(tmp_path, status, shares=False))
    assert found[IMAGE].ok
    assert found[WORKSPACE].message == "pods see another workspace than the service"
    assert "TRAINYARD_WORKSPACE_VOLUME" in found[WORKSPACE].hint


def test_a_pod_that_may_not_write_is_told_with_its_end(tmp_path):
    found = look(OnePod(tmp_path, ended(1), shares=False))
    assert found[WORKSPACE].message.startswith("the probe pod failed: ")
    assert not found[WORKSPACE].ok


def test_a_pod_that_finds_no_node_is_given_up_after_the_wait_with_the_schedulers_reason(tmp_path):
    row = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    pods = OnePod(tmp_path, {"phase": "Pending", "conditions": [row]}, shares=False)
    found = look(pods, seconds=0.1)
    assert "within 0.1 seconds: waiting for a place on a node: 0/3 nodes are available" in found[WORKSPACE].message
    assert "was not seen to arrive" in found[IMAGE].message
    assert pods.there == {}


def test_nobody_who_left_is_waited_for_and_the_pod_goes(tmp_path):
    stop = Event()
    stop.set()
    pods = OnePod(tmp_path, {"phase": "Pending"}, shares=False)
    look(pods, seconds=600, stop=stop)
    assert (len(pods.made), pods.there) == (1, {})


def test_a_pod_that_could_not_be_created_is_removed_all_the_same_in_case_it_was(tmp_path):
    pods = OnePod(tmp_path, create_fails=True)
    assert look(pods)[WORKSPACE].message == "the cluster is full"
    assert len(pods.removed) == 1


def test_a_cluster_that_lets_the_service_make_no_pods_is_told_with_its_hint_and_leaves_no_folder(tmp_path):
    pods = OnePod(tmp_path, permits=False)
    found = look(pods)
    assert (pods.made, pods.removed) == ([], [])
    assert (found[WORKSPACE].message, found[WORKSPACE].hint) == ("not allowed to create pods here", "Allow it.")
    assert "was not tried" in found[IMAGE].message
    assert list(tmp_path.iterdir()) == []


def test_a_pod_that_cannot_be_removed_is_a_line_of_its_own(tmp_path):
    found = look(OnePod(tmp_path, remove_fails=True))
    assert "is left behind: the cluster does not answer" in found[WORKSPACE].message


def test_a_workspace_that_is_not_there_is_told_as_the_services_own(tmp_path):
    root = tmp_path / "file"
    root.write_text("")
    pods = OnePod(root)
    found = look(pods)
    assert "the service cannot use its workspace" in found[WORKSPACE].message
    assert pods.made == []


def test_another_image_is_tried_without_a_word_about_the_workspace(tmp_path):
    found = look(OnePod(tmp_path), image=True)
    assert list(found) == [IMAGE]


def test_what_a_killed_doctor_left_is_removed_by_a_later_one_and_no_run_is_touched(tmp_path):
    pods = OnePod(tmp_path, there={"doctor-old": {}})
    old = time.time() - 3600
    for name in ("doctor-old", "doctor-now", "somebodys"):
        (tmp_path / "probes" / name).mkdir(parents=True)
        os.utime(tmp_path / "probes" / name, (old, old) if name != "doctor-now" else None)
    run = Workspace(tmp_path).run(RUN).logs
    run.mkdir(parents=True)
    look(pods)
    assert pods.there == {}
    assert sorted(os.listdir(tmp_path / "probes")) == ["doctor-now", "somebodys"]
    assert run.exists()


def test_every_image_is_tried_once():
    assert [one.image for one in images_of(LIMITS)] == [f.image for f in LIMITS.frameworks]


def test_the_folder_of_all_probes_goes_too_unless_another_doctors_is_in_it(tmp_path: Path) -> None:
    look(OnePod(tmp_path))
    assert list(tmp_path.iterdir()) == []
    other = tmp_path / "probes" / "doctor-of-somebody-else"
    other.mkdir(parents=True)
    look(OnePod(tmp_path))
    assert other.is_dir()


def test_a_workspace_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    pods = OnePod(tmp_path / "unmounted")
    found = look(pods)
    assert "cannot use its workspace" in found[WORKSPACE].message
    assert not pods.root.exists()
    assert pods.made == []
