"""What the API fills in where a new object says nothing."""

from __future__ import annotations

import base64
import copy
import secrets
from typing import Any

from localkube.images import has_moving_tag
from localkube.objects import Obj, containers_of

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # without vowels, so that no suffix is a word
_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "serviceAccountName": "default",
    "enableServiceLinks": True,
    "securityContext": {},
}
_CONTAINER: Obj = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}


def with_name(obj: Obj) -> Obj:
    """Return the object with a name made from its generateName, if it has only that."""
    metadata = obj.get("metadata") or {}
    if not metadata.get("name") and metadata.get("generateName"):
        suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
        metadata = {**metadata, "name": metadata["generateName"] + suffix}
    return {**obj, "metadata": metadata}


def new_pod(pod: Obj) -> Obj:
    """Return a sound pod as the API stores it: defaults filled in, nothing of the client's status."""
    new = copy.deepcopy(pod)
    new["spec"] = {**copy.deepcopy(_SPEC), **new["spec"]}
    for container in containers_of(new):
        _fill_container(container)
    new["status"] = {"phase": "Pending", "qosClass": _quality(new)}
    return new


def new_object(plural: str, obj: Obj) -> Obj:
    """Return any other object as the API stores it."""
    fill = {"secrets": _secret, "namespaces": _namespace, "persistentvolumeclaims": _claim}.get(plural)
    return {**obj, **fill(obj)} if fill else obj


def _fill_container(container: Obj) -> None:
    for name, value in copy.deepcopy(_CONTAINER).items():
        container.setdefault(name, value)
    container.setdefault("imagePullPolicy", "Always" if has_moving_tag(container["image"]) else "IfNotPresent")
    resources = container["resources"]
    for kind in ("limits", "requests"):
        if kind in resources:
            resources[kind] = {name: str(amount) for name, amount in resources[kind].items()}
    if limits := resources.get("limits"):
        resources["requests"] = {**limits, **resources.get("requests", {})}


def _quality(pod: Obj) -> str:
    resources = [container["resources"] for container in containers_of(pod)]
    if not any(part.get("limits") or part.get("requests") for part in resources):
        return "BestEffort"
    return "Guaranteed" if all(_is_guaranteed(part) for part in resources) else "Burstable"


def _is_guaranteed(resources: Obj) -> bool:
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    return all(limits.get(name) and limits[name] == requests.get(name) for name in ("cpu", "memory"))


def _secret(obj: Obj) -> Obj:
    plain = {key: base64.b64encode(value.encode()).decode() for key, value in (obj.get("stringData") or {}).items()}
    obj.pop("stringData", None)
    return {"type": obj.get("type") or "Opaque", "data": {**(obj.get("data") or {}), **plain}}


def _namespace(_: Obj) -> Obj:
    return {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def _claim(obj: Obj) -> Obj:
    """A claim is a folder of this machine, so it is bound as soon as it is there."""
    spec: dict[str, Any] = {
        "volumeMode": "Filesystem",
        "volumeName": obj["metadata"]["name"],
        **(obj.get("spec") or {}),
    }
    size = (spec.get("resources") or {}).get("requests") or {}
    return {"spec": spec, "status": {"phase": "Bound", "accessModes": spec.get("accessModes") or [], "capacity": size}}
