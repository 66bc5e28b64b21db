"""The kinds of objects that the local cluster knows, and small reads of an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

Obj = dict[str, Any]  # one Kubernetes object, as its JSON

_READ = ("get", "list", "watch")
_ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Kind:
    """One row of the API: its plural (the URL's word), kind, short names and verbs."""

    plural: str
    name: str
    namespaced: bool
    short: tuple[str, ...]
    verbs: tuple[str, ...]


KINDS = {
    kind.plural: kind
    for kind in (
        Kind("pods", "Pod", True, ("po",), _ALL),
        Kind("events", "Event", True, ("ev",), ("create", "delete", "deletecollection", *_READ)),
        Kind("namespaces", "Namespace", False, ("ns",), ("create", "delete", "patch", "update", *_READ)),
        Kind("nodes", "Node", False, ("no",), ("patch", "update", *_READ)),
        Kind("secrets", "Secret", True, (), _ALL),
        Kind("configmaps", "ConfigMap", True, ("cm",), _ALL),
        Kind("persistentvolumeclaims", "PersistentVolumeClaim", True, ("pvc",), _ALL),
        Kind("serviceaccounts", "ServiceAccount", True, ("sa",), _ALL),
    )
}


class Key(NamedTuple):
    """Where an object is: plural, namespace (empty for nodes and namespaces), name."""

    plural: str
    namespace: str
    name: str


def key_of(plural: str, obj: Obj) -> Key:
    return Key(plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def containers_of(pod: Obj) -> list[Obj]:
    """Return all containers of a pod, init containers first."""
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


def is_sidecar(container: Obj) -> bool:
    """Return whether an init container is a native sidecar: it runs beside the others and ends after them."""
    return container.get("restartPolicy") == "Always"


def is_finished(pod: Obj) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def is_deleted(pod: Obj) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def limit_of(container: Obj, resource: str) -> str:
    """Return a resource's limit as text, `0` where there is none."""
    return str(((container.get("resources") or {}).get("limits") or {}).get(resource, "0"))
