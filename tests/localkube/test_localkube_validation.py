"""What is refused of a pod, and that sound pods pass."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from localkube.errors import ApiError
from localkube.objects import Obj, gpus_wanted
from localkube.validation import checked_pod, pod_causes

SOUND: Obj = {
    "metadata": {"name": "a.b-1", "namespace": "default", "labels": {"x.io/k": "v_1"}},
    "spec": {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 1,
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/x", "type": "Directory"}}],
        "containers": [
            {
                "name": "base",
                "image": "i",
                "command": ["true"],
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
    assert list(pod_causes(SOUND)) == []


@pytest.mark.parametrize(
    ("pod", "field", "words"),
    [
        (changed("metadata", "name", to="Upper"), "metadata.name", "lowercase RFC 1123"),
        (changed("metadata", "name", to="../etc"), "metadata.name", "lowercase RFC 1123"),
        (changed("metadata", "name", to="x" * 254), "metadata.name", "lowercase RFC 1123"),
        (changed("metadata", "name", to=""), "metadata.name", "Required value"),
        (changed("spec", "containers", to=[]), "spec.containers", "Required value"),
        (changed("spec", "initContainers", to=[{"name": "i"}]), "spec.initContainers", "Forbidden"),
        (changed("spec", "activeDeadlineSeconds", to=0), "spec.activeDeadlineSeconds", "greater than or equal to 1"),
        (changed(*CONTAINER, "name", to="B_"), "spec.containers[0].name", "RFC 1123 label"),
        (
            changed("spec", "containers", to=SOUND["spec"]["containers"] * 2),
            "spec.containers[1].name",
            "Duplicate value",
        ),
        (changed(*CONTAINER, "command", to=[]), "spec.containers[0].command", "no images"),
        (changed(*CONTAINER, "envFrom", to=[{}]), "spec.containers[0].envFrom[0]", "Forbidden"),
        (
            changed(*CONTAINER, "envFrom", to=[{"configMapRef": {"name": "a"}}]),
            "spec.containers[0].envFrom[0]",
            "alone",
        ),
        (
            changed(*CONTAINER, "env", to=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]),
            "spec.containers[0].env[0].valueFrom.secretKeyRef.key",
            "Required value",
        ),
        (changed(*CONTAINER, "image", to=""), "spec.containers[0].image", "Required value"),
        (changed(*CONTAINER, "env", to=[{"name": "A=B"}]), "spec.containers[0].env[0].name", "name of a variable"),
        (
            changed(*CONTAINER, "env", to=[{"name": "A", "valueFrom": {"fieldRef": {}}}]),
            "spec.containers[0].env[0].valueFrom",
            "Forbidden",
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
            "RFC 1123 subdomain",
        ),
        (changed("spec", "volumes", 0, to={"name": "v", "secret": {}}), "spec.volumes[0].secret", "no such volumes"),
        (changed("spec", "volumes", 1, "hostPath", "type", to="Pipe"), "spec.volumes[1].hostPath.type", "one of"),
    ],
)
def test_each_fault_is_told_with_its_field(pod, field, words):
    causes = list(pod_causes(pod))
    assert [cause.field for cause in causes] == [field]
    assert words in causes[0].message


def test_all_faults_are_told_at_once():
    pod = changed("metadata", "name", to="")
    pod["spec"]["activeDeadlineSeconds"] = 0
    pod["spec"]["containers"][0]["image"] = ""
    assert len(list(pod_causes(pod))) == 3


def test_a_pod_wants_the_gpus_of_all_its_containers():
    def container(gpus: int) -> Obj:
        return {"resources": limits(gpu=str(gpus))}

    assert gpus_wanted({"spec": {"containers": [container(1), container(2)]}}) == 3
    assert gpus_wanted({"spec": {"containers": [{}]}}) == 0


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], "object"),
        ({"spec": []}, "spec"),
        ({"spec": {"containers": {}}}, "spec.containers"),
        ({"spec": {"containers": ["x"]}}, "spec.containers[0]"),
        ({"spec": {"containers": [{"command": "ls"}]}}, "spec.containers[0].command"),
        ({"spec": {"containers": [{"args": [1]}]}}, "spec.containers[0].args[0]"),
        ({"spec": {"containers": [{"resources": {"limits": []}}]}}, "spec.containers[0].resources.limits"),
        ({"spec": {"activeDeadlineSeconds": "1"}}, "spec.activeDeadlineSeconds"),
        ({"spec": {"activeDeadlineSeconds": True}}, "spec.activeDeadlineSeconds"),
        ({"spec": {"volumes": [{"hostPath": "/x"}]}}, "spec.volumes[0].hostPath"),
        ({"metadata": {"labels": {"a": 1}}}, "metadata.labels.a"),
        ({"metadata": "x"}, "metadata"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(body, path):
    with pytest.raises(ApiError, match=f"decoded: {path}:".replace("[", r"\[")) as caught:
        checked_pod(body, "default")
    assert caught.value.status == 400


def test_nulls_are_as_if_they_were_not_there_and_other_fields_stay():
    pod = changed(*CONTAINER, "args", to=None)
    pod["spec"]["tolerations"] = [{"key": "a"}, None]
    checked = checked_pod(pod, "default")
    assert "args" not in checked["spec"]["containers"][0]
    assert checked["spec"]["tolerations"] == [{"key": "a"}]


def test_a_pod_for_another_namespace_is_refused():
    with pytest.raises(ApiError, match="does not match"):
        checked_pod(SOUND, "other")
