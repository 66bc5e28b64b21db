"""The three kinds of patches, and what a change may not touch."""

from __future__ import annotations

import copy
from typing import Any

from localkube.config import GPU_ANNOTATION
from localkube.objects import Obj
from localkube.status import ApiError, Cause, bad_request, conflict, invalid

_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def patched(obj: Obj, patch: Any, content_type: str) -> Obj:
    """Return the object with a patch applied. Raise ApiError 400 or 415 for a patch that cannot be read."""
    kind = content_type.partition(";")[0].strip()
    if kind == "application/json-patch+json" and isinstance(patch, list):
        return _operated(obj, patch)
    if kind in ("application/merge-patch+json", "application/strategic-merge-patch+json") and isinstance(patch, dict):
        return _merged(obj, patch, by_name=kind.startswith("application/strategic"))
    if isinstance(patch, list | dict):
        raise ApiError(415, "UnsupportedMediaType", f"the server cannot apply a patch of type {kind!r} with this body")
    raise bad_request("the patch is neither an object nor a list of operations")


def replacement(plural: str, old: Obj, new: Obj) -> Obj:
    """Return what the store gets when a client wants `new` instead of `old`.

    Raise ApiError 409 when `new` was made from another version, 422 when it changes what is fixed.
    """
    name = old["metadata"]["name"]
    if not isinstance(new.get("metadata"), dict):
        raise bad_request("the object has no metadata")
    version = new["metadata"].get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        why = "the object has been modified; please apply your changes to the latest version and try again"
        raise conflict(plural, name, why)
    causes = [
        Cause(f"metadata.{field}", f'Invalid value: "{new["metadata"][field]}": field is immutable')
        for field in ("name", "namespace", "uid")
        if new["metadata"].get(field, old["metadata"].get(field)) != old["metadata"].get(field)
    ]
    if plural == "pods" and new.get("spec") != old["spec"]:
        causes.append(Cause("spec", "Forbidden: the local cluster changes nothing but a pod's metadata", _FORBIDDEN))
    if causes:
        raise invalid(old["kind"], name, causes)
    return _with_fixed(plural, old, new)


_FORBIDDEN = "FieldValueForbidden"


def _with_fixed(plural: str, old: Obj, new: Obj) -> Obj:
    result = copy.deepcopy(new)
    fixed = {field: old["metadata"][field] for field in _FIXED if field in old["metadata"]}
    result["metadata"] = {**result["metadata"], **fixed, "resourceVersion": old["metadata"]["resourceVersion"]}
    for section in ("kind", "apiVersion", *(("status",) if "status" in old else ())):
        result[section] = old[section]
    if plural == "pods":
        _keep_gpus(old, result)
    return result


def _keep_gpus(old: Obj, new: Obj) -> None:
    """Which GPUs a pod holds is written in an annotation: no client may take it away or invent it."""
    annotations = dict(new["metadata"].get("annotations") or {})
    annotations.pop(GPU_ANNOTATION, None)
    held = (old["metadata"].get("annotations") or {}).get(GPU_ANNOTATION)
    if held is not None:
        annotations[GPU_ANNOTATION] = held
    new["metadata"].pop("annotations", None)
    if annotations:
        new["metadata"]["annotations"] = annotations


def _merged(old: Any, patch: Any, by_name: bool) -> Any:
    if by_name and isinstance(patch, list) and isinstance(old, list):
        return _merged_lists(old, patch)
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):  # directives such as $setElementOrder: order means nothing here
            continue
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value, by_name)
    return result


def _merged_lists(old: list[Any], patch: list[Any]) -> list[Any]:
    """Merge lists of named parts (containers, volumes, env) by name; any other list is replaced."""
    parts = [*old, *patch]
    if not all(isinstance(part, dict) and "name" in part for part in parts):
        return patch
    merged = {part["name"]: part for part in old}
    for part in patch:
        if part.get("$patch") == "delete":
            merged.pop(part["name"], None)
        else:
            merged[part["name"]] = _merged(merged.get(part["name"]), part, by_name=True)
    return list(merged.values())


def _operated(obj: Obj, operations: list[Any]) -> Obj:
    result = copy.deepcopy(obj)
    for operation in operations:
        try:
            _operate(result, operation)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise bad_request(f"the JSON patch cannot be applied: {operation}") from None
    return result


def _operate(obj: Obj, operation: Obj) -> None:
    *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
    holder: Any = obj
    for step in steps:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    _OPERATIONS[operation["op"]](holder, last, operation.get("value"))


def _add(holder: Any, key: str, value: Any) -> None:
    if isinstance(holder, list):
        holder.insert(len(holder) if key == "-" else int(key), value)
    else:
        holder[key] = value


def _replace(holder: Any, key: str, value: Any) -> None:
    _remove(holder, key, None)
    _add(holder, key, value)


def _remove(holder: Any, key: str, _: Any) -> None:
    del holder[int(key) if isinstance(holder, list) else key]


def _test(holder: Any, key: str, value: Any) -> None:
    if (holder[int(key)] if isinstance(holder, list) else holder[key]) != value:
        raise ValueError


_OPERATIONS = {"add": _add, "replace": _replace, "remove": _remove, "test": _test}
