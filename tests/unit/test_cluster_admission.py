"""What the local cluster refuses of a pod, and that it lets sound pods through."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from localkube.admission import gpus_wanted, pod_causes
from localkube.objects import Obj

SOUND: Obj = {
    "metadata": {"name": "a.b-1", "namespace": "default", "labels": {"x.io/k": "v_1"}},
    "spec": {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 1,
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/x", "type": "Directory"}}],
        "initContainers": [{"name": "init", "image": "i", "restartPolicy": "Always"}],
        "containers": [
            {
                "name": "base",
                "image": "i",
                "env": [{"name": "A", "value": "1"}],
                "resources": {"limits": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": 1}},
                "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b", "subPath": "c/d"}],
            }
        ],
    },
}
CONTAINER = ("spec", "containers", 0)


def changed(*steps: Any, to: Any) -> Obj:
    """Return the sound pod with one place changed."""
    new = copy.deepcopy(SOUND)
    place: Any = new
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = to
    return new


def limits(**amounts: str) -> dict[str, Any]:
    return {"limits": {name.replace("gpu", "nvidia.com/gpu"): value for name, value in amounts.items()}}


def test_a_sound_pod_has_no_faults():
    assert pod_causes(SOUND) == []


@pytest.mark.parametrize(
    ("pod", "field", "words"),
    [
        (changed("metadata", "name", to="Upper"), "metadata.name", "lowercase RFC 1123"),
        (changed("metadata", "name", to="../etc"), "metadata.name", "lowercase RFC 1123"),
        (changed("metadata", "name", to="x" * 254), "metadata.name", "lowercase RFC 1123"),
        (changed("metadata", "name", to=""), "metadata.name", "Required value"),
        (changed("metadata", "labels", to={"k": "v" * 64}), "metadata.labels", "valid label"),
        (changed("metadata", "labels", to={"a/b/c": "v"}), "metadata.labels", "name part"),
        (changed("metadata", "annotations", to={" ": "v"}), "metadata.annotations", "name part"),
        (changed("spec", "containers", to=[]), "spec.containers", "Required value"),
        (changed("spec", "restartPolicy", to="Sometimes"), "spec.restartPolicy", "Unsupported value"),
        (changed("spec", "activeDeadlineSeconds", to=0), "spec.activeDeadlineSeconds", "greater than or equal to 1"),
        (changed(*CONTAINER, "name", to="B_"), "spec.containers[0].name", "RFC 1123 label"),
        (changed(*CONTAINER, "name", to="init"), "spec.containers[0].name", "Duplicate value"),
        (changed(*CONTAINER, "image", to=""), "spec.containers[0].image", "Required value"),
        (changed(*CONTAINER, "image", to=" i"), "spec.containers[0].image", "whitespace"),
        (changed(*CONTAINER, "imagePullPolicy", to="Maybe"), "spec.containers[0].imagePullPolicy", "Unsupported"),
        (changed(*CONTAINER, "env", to=[{"name": "A=B"}]), "spec.containers[0].env[0].name", "environment variable"),
        (
            changed(*CONTAINER, "env", to=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {}}}]),
            "spec.containers[0].env[0].valueFrom",
            "may not be specified",
        ),
        (
            changed(*CONTAINER, "resources", to=limits(gpu="0.5")),
            "spec.containers[0].resources.limits[nvidia.com/gpu]",
            "must be an integer",
        ),
        (
            changed(*CONTAINER, "resources", to=limits(memory="1GB")),
            "spec.containers[0].resources.limits[memory]",
            "quantities must match",
        ),
        (
            changed(*CONTAINER, "resources", to=limits(memory="-1")),
            "spec.containers[0].resources.limits[memory]",
            "greater than or equal to 0",
        ),
        (
            changed(*CONTAINER, "resources", to={"limits": {"cpu": "1"}, "requests": {"cpu": "1500m"}}),
            "spec.containers[0].resources.requests",
            "less than or equal to cpu limit",
        ),
        (
            changed(*CONTAINER, "resources", to={"requests": {"nvidia.com/gpu": "1"}}),
            "spec.containers[0].resources.requests",
            "must be equal to nvidia.com/gpu limit",
        ),
        (
            changed(*CONTAINER, "volumeMounts", to=[{"name": "w", "mountPath": "/a"}]),
            "spec.containers[0].volumeMounts[0].name",
            'Not found: "w"',
        ),
        (
            changed(*CONTAINER, "volumeMounts", 1, "mountPath", to="/a"),
            "spec.containers[0].volumeMounts[1].mountPath",
            "must be unique",
        ),
        (
            changed(*CONTAINER, "volumeMounts", 1, "subPath", to="a/../.."),
            "spec.containers[0].volumeMounts[1].subPath",
            "must not contain '..'",
        ),
        (
            changed(*CONTAINER, "volumeMounts", 1, "subPath", to="/a"),
            "spec.containers[0].volumeMounts[1].subPath",
            "relative path",
        ),
        (changed("spec", "volumes", 1, "name", to="v"), "spec.volumes[1].name", "Duplicate value"),
        (changed("spec", "volumes", 1, "emptyDir", to={}), "spec.volumes[1].emptyDir", "more than 1 volume type"),
        (changed("spec", "volumes", 1, "hostPath", to={}), "spec.volumes[1].hostPath.path", "Required value"),
        (
            changed("spec", "volumes", 0, to={"name": "v", "persistentVolumeClaim": {"claimName": "../x"}}),
            "spec.volumes[0].persistentVolumeClaim.claimName",
            "name of a claim",
        ),
    ],
)
def test_each_fault_is_told_with_its_field(pod, field, words):
    causes = pod_causes(pod)
    assert [cause.field for cause in causes] == [field]
    assert words in causes[0].message


def test_all_faults_are_told_at_once():
    pod = changed("metadata", "name", to="")
    pod["spec"]["restartPolicy"] = "x"
    pod["spec"]["containers"][0]["image"] = ""
    assert len(pod_causes(pod)) == 3


def test_a_pod_wants_the_gpus_of_all_its_containers_or_of_its_greediest_init_container():
    def container(gpus: int) -> Obj:
        return {"resources": limits(gpu=str(gpus))}

    assert gpus_wanted({"spec": {"containers": [container(1), container(2)]}}) == 3
    assert gpus_wanted({"spec": {"containers": [container(1)], "initContainers": [container(2)]}}) == 2
    assert gpus_wanted({"spec": {"containers": [{}]}}) == 0
