"""The kinds of objects, how one is named, and what a pod says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from localkube.values import seconds, whole

Obj = dict[str, Any]  # one Kubernetes object, as its JSON

GPU = "nvidia.com/gpu"
GPU_ANNOTATION = "localkube/gpus"  # the GPUs that a scheduled pod holds, as CUDA numbers them
_READ = ("get", "list", "watch")


@dataclass(frozen=True)
class Kind:
    """One row of the API: its plural (the URL's word), kind, short name and verbs."""

    plural: str
    name: str
    namespaced: bool
    short: str
    verbs: tuple[str, ...]


KINDS = {
    kind.plural: kind
    for kind in (
        Kind("pods", "Pod", True, "po", ("create", "delete", "deletecollection", "patch", *_READ)),
        Kind("secrets", "Secret", True, "", ("create", "delete", "get")),
        Kind("events", "Event", True, "ev", _READ),
        Kind("namespaces", "Namespace", False, "ns", _READ),
        Kind("nodes", "Node", False, "no", ("patch", *_READ)),
    )
}


class Key(NamedTuple):
    """Where an object is: plural, namespace (empty for nodes and namespaces), name."""

    plural: str
    namespace: str
    name: str


def key_of(plural: str, obj: Obj) -> Key:
    return Key(plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def is_finished(pod: Obj) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def is_deleted(pod: Obj) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def limit_of(container: Obj, resource: str) -> int:
    """Return a resource's limit, 0 where there is none."""
    return whole(str(((container.get("resources") or {}).get("limits") or {}).get(resource, "0")))


def gpus_wanted(pod: Obj) -> int:
    """Return how many GPUs the containers of a pod hold together."""
    return sum(limit_of(container, GPU) for container in pod["spec"]["containers"])


def gpus_held(pod: Obj) -> list[str]:
    """Return the GPUs that the scheduler gave to a pod."""
    names = pod["metadata"].get("annotations", {}).get(GPU_ANNOTATION, "")
    return names.split(",") if names else []


def set_condition(pod: Obj, kind: str, true: bool, reason: str = "", message: str = "") -> None:
    """Set one condition of a pod's status in place; its transition time moves only when it turns."""
    conditions = pod["status"].setdefault("conditions", [])
    old = next((each for each in conditions if each["type"] == kind), None)
    word = "True" if true else "False"
    new = {
        "type": kind,
        "status": word,
        "lastProbeTime": None,
        "lastTransitionTime": old["lastTransitionTime"] if old and old["status"] == word else seconds(),
        **({"reason": reason} if reason else {}),
        **({"message": message} if message else {}),
    }
    if old is None:
        conditions.append(new)
    else:
        conditions[conditions.index(old)] = new
