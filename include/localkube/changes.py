"""What the API makes of a new pod, and of a patch: metadata may change, and images until a pod has its node."""

from __future__ import annotations

import copy
from typing import Any

from localkube.errors import ApiError, Cause, conflict, invalid
from localkube.objects import GPU_ANNOTATION, Obj

_STRATEGIC = "application/strategic-merge-patch+json"
_MERGES = ("application/merge-patch+json", _STRATEGIC)
_SERVER_FIELDS = ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_FIXED = ("name", "namespace", *_SERVER_FIELDS)
_SPEC = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 30}
_CONTAINER = {
    "imagePullPolicy": "IfNotPresent",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def new_pod(pod: Obj) -> Obj:
    """Return a sound pod as the store gets it: defaults filled in, nothing that only the server says."""
    spec = {**_SPEC, **pod["spec"]}
    spec["containers"] = [{**_CONTAINER, **container} for container in spec["containers"]]
    spec.pop("nodeName", None)
    metadata = {name: value for name, value in pod["metadata"].items() if name not in _SERVER_FIELDS}
    (metadata.get("annotations") or {}).pop(GPU_ANNOTATION, None)
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def patched(plural: str, old: Obj, patch: Obj, content_type: str) -> Obj:
    """Return the object with a merge or a strategic merge patch applied.

    Raise ApiError 415 for another kind of patch, 409 when it was made from another version, 422 when it changes what
    is fixed.
    """
    kind = content_type.partition(";")[0].strip()
    if kind not in _MERGES:
        raise ApiError(415, "UnsupportedMediaType", f"the server cannot apply a patch of type {kind!r}")
    new: Obj = _merged(old, patch, by_name=kind == _STRATEGIC)
    name, metadata = old["metadata"]["name"], new.get("metadata")
    if not isinstance(metadata, dict) or not all(_is_text_map(metadata, name) for name in ("labels", "annotations")):
        raise ApiError(400, "BadRequest", "labels and annotations have to be maps of texts")
    if metadata.get("resourceVersion") != old["metadata"]["resourceVersion"]:
        why = "the object has been modified; please apply your changes to the latest version and try again"
        raise conflict(plural, name, why)
    if causes := [*_immutable(old, new), *_forbidden(plural, old, new)]:
        raise invalid(old["kind"], name, causes)
    fixed = {field: old["metadata"][field] for field in _FIXED if field in old["metadata"]}
    new = {**old, "metadata": {**metadata, **fixed}, "spec": new.get("spec")}
    return _with_gpus_of(old, new)


def _is_text_map(metadata: Obj, name: str) -> bool:
    found = metadata.get(name, {})
    return isinstance(found, dict) and all(isinstance(value, str) for value in found.values())


def _immutable(old: Obj, new: Obj) -> list[Cause]:
    return [
        Cause(f"metadata.{field}", f'Invalid value: "{new["metadata"].get(field)}": field is immutable')
        for field in ("name", "namespace", "uid")
        if new["metadata"].get(field) != old["metadata"].get(field)
    ]


def _forbidden(plural: str, old: Obj, new: Obj) -> list[Cause]:
    if plural != "pods" or new.get("spec") == old["spec"]:
        return []
    if not old["spec"].get("nodeName") and _without_images(new.get("spec")) == _without_images(old["spec"]):
        return []
    rule = "localkube changes nothing of a pod's spec but images, and those only until it has a node"
    return [Cause("spec", f"Forbidden: {rule}", "FieldValueForbidden")]


def _without_images(spec: Any) -> Any:
    """Return a spec as far as it is fixed; one whose containers are no containers, or lack an image, as it is."""
    containers = spec.get("containers") if isinstance(spec, dict) else None
    if not isinstance(containers, list) or not all(isinstance(each, dict) and each.get("image") for each in containers):
        return spec
    return {**spec, "containers": [{**each, "image": ""} for each in containers]}


def _with_gpus_of(old: Obj, new: Obj) -> Obj:
    """Keep the annotation of the GPUs that a pod holds: no client may take it away or make it up."""
    annotations = dict(new["metadata"].pop("annotations", {}))
    annotations.pop(GPU_ANNOTATION, None)
    held = old["metadata"].get("annotations", {}).get(GPU_ANNOTATION)
    if held is not None:
        annotations[GPU_ANNOTATION] = held
    if annotations:
        new["metadata"]["annotations"] = annotations
    return new


def _merged(old: Any, patch: Any, *, by_name: bool) -> Any:
    """Merge maps, and containers by their names in a strategic merge; replace all else: nothing else may change."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):  # directives such as $setElementOrder: order means nothing here
            continue
        if value is None:
            result.pop(key, None)
        elif by_name and key == "containers" and isinstance(value, list):
            result[key] = _merged_by_name(result.get(key), value)
        else:
            result[key] = _merged(result.get(key), value, by_name=by_name)
    return result


def _merged_by_name(old: Any, patches: list[Any]) -> list[Any]:
    """Merge a list of named maps; what has a name that is not there, or none, is one more."""
    known: dict[str, Any] = {each["name"]: each for each in old or []}
    for patch in patches:
        name = str(patch.get("name")) if isinstance(patch, dict) else ""
        known[name] = _merged(known.get(name), patch, by_name=True)
    return list(known.values())
