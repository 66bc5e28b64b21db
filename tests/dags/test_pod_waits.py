"""What the pod of a run waits for, as the api-server asks the cluster."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from late import Late
from samples import MODEL_ID, RUN

from trainyard.domain.names import RunKey

pytestmark = pytest.mark.xdist_group("airflow")

podwaits = Late("trainyard.cluster.podwaits")
_LIMIT = {"limits": {"nvidia.com/gpu": "2"}}
_POD = {
    "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"containers": [{"name": "learner", "image": "x", "resources": _LIMIT}]},
    "status": {"phase": "Pending"},
}


@pytest.fixture
def cluster():
    """A cluster with one pod that waits; `asked` are the labels it was asked for."""
    there = SimpleNamespace(pods=[_POD], asked=[], silent=False)

    def listed(namespace, label_selector, _request_timeout):
        there.asked.append(label_selector)
        if there.silent:
            raise OSError("no route to host")
        return SimpleNamespace(items=there.pods)

    api = SimpleNamespace(list_namespaced_pod=listed, api_client=SimpleNamespace(sanitize_for_serialization=dict))
    there.waits = podwaits.PodWaits(lambda: api, "default")
    return there


def test_the_pod_says_what_it_waits_for_and_everybody_who_asks_at_once_asks_once(cluster):
    waits = cluster.waits
    assert {waits(RUN) for _ in range(5)} == {"waiting for 2 GPUs"}
    assert len(cluster.asked) == 1
    assert set(cluster.asked[0].split(",")) >= {f"trainyard/training-id={MODEL_ID}", f"trainyard/model-id={MODEL_ID}"}


def test_runs_of_two_trainings_with_one_id_are_asked_for_apart(cluster):
    waits = cluster.waits
    waits(RUN), waits(RunKey("training-Xz81mQ0aB", MODEL_ID))
    assert len(set(cluster.asked)) == 2


@pytest.mark.parametrize("run_id", ["manual__2026", f"x,{MODEL_ID}", "a in (b)", ""])
def test_the_cluster_is_not_asked_about_a_run_that_has_no_model_id(cluster, run_id):
    assert cluster.waits(RunKey(MODEL_ID, run_id)) == ""
    assert cluster.asked == []


def test_the_newest_pod_of_a_run_counts(cluster):
    running = {**_POD, "metadata": {"name": "q", "creationTimestamp": "2026-01-02T00:00:00Z"}}
    cluster.pods.append({**running, "status": {"phase": "Running"}})
    assert cluster.waits(RUN) == ""


def test_of_several_learners_it_is_said_how_many_are_there_and_what_the_next_one_waits_for(cluster):
    def learner(number, attempt, phase):
        labels = {"trainyard/learner": str(number), "trainyard/attempt": str(attempt)}
        metadata = {"name": f"p-{number}", "creationTimestamp": f"2026-01-0{attempt}T00:00:00Z", "labels": labels}
        return {**_POD, "metadata": metadata, "status": {"phase": phase}}

    cluster.pods[:] = [
        learner(3, 2, "Pending"),
        learner(1, 2, "Running"),
        learner(2, 2, "Pending"),
        learner(1, 1, "Failed"),
    ]
    assert cluster.waits(RUN) == "1 of 3 learners are there; learner 2: waiting for 2 GPUs"


@pytest.mark.parametrize("change", [{"pods": []}, {"silent": True}])
def test_without_a_pod_or_an_answer_nothing_is_said(cluster, change):
    vars(cluster).update(change)
    assert cluster.waits(RUN) == ""
