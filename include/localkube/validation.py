"""What is demanded of a new pod: the types of the fields that are read, sound names, and nothing that is not honoured.

Every fault of a pod whose types are right is a cause of one 422 answer. A field that means nothing here passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from localkube.errors import ApiError, Cause, bad_request, invalid
from localkube.objects import GPU, Obj
from localkube.values import quantity

_ANY, _TEXT, _NUMBER, _BOOL, _TEXTS, _MAP = object, str, int, bool, {"*": str}, {"*": object}
_REFERENCE: Obj = {"name": _TEXT, "optional": _BOOL}
_CONTAINER: Obj = {
    **dict.fromkeys(("name", "image", "imagePullPolicy", "workingDir"), _TEXT),
    **dict.fromkeys(("terminationMessagePath", "terminationMessagePolicy"), _TEXT),
    "command": [_TEXT],
    "args": [_TEXT],
    "env": [{"name": _TEXT, "value": _TEXT, "valueFrom": {"secretKeyRef": {**_REFERENCE, "key": _TEXT}}}],
    "envFrom": [{"prefix": _TEXT, "secretRef": _REFERENCE}],
    "resources": {"limits": _MAP, "requests": _MAP},
    "volumeMounts": [{**dict.fromkeys(("name", "mountPath", "subPath"), _TEXT), "readOnly": _BOOL}],
}
_VOLUME: Obj = {
    "name": _TEXT,
    "emptyDir": {"medium": _TEXT},
    "hostPath": {"path": _TEXT, "type": _TEXT},
    "persistentVolumeClaim": {"claimName": _TEXT, "readOnly": _BOOL},
}
_POD: Obj = {
    "kind": _TEXT,
    "metadata": {**dict.fromkeys(("name", "namespace"), _TEXT), **dict.fromkeys(("labels", "annotations"), _TEXTS)},
    "spec": {
        **dict.fromkeys(("terminationGracePeriodSeconds", "activeDeadlineSeconds"), _NUMBER),
        "hostname": _TEXT,
        "containers": [_CONTAINER],
        "volumes": [_VOLUME],
    },
}
_WORDS = {str: "string", int: "number", bool: "bool", dict: "object", list: "array", float: "number"}

# What would be left out in silence: a pod that needs it is better refused.
_NOT_HONOURED_BY_POD = ("initContainers", "ephemeralContainers")
_NOT_HONOURED_BY_CONTAINER = ("volumeDevices",)
VOLUME_SOURCES = {"emptyDir": "", "hostPath": "path", "persistentVolumeClaim": "claimName"}
_HOST_PATHS = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_VARIABLE = re.compile(r"[^\s=\x00-\x1f\x7f][^=\x00-\x1f\x7f]*")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character, in at most 253 characters"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character, in at most 63 characters"
)


def checked_pod(body: Obj, namespace: str) -> Obj:
    """Return a client's pod without nulls and with its namespace.

    Raise ApiError 400 where a field has the wrong type or the namespace is another one, 422 with all other faults.
    """
    pod: Obj = _without_nulls(body)
    for path, fault in _mistyped("", pod, _POD):
        raise bad_request(f"the object cannot be decoded: {path}: {fault}")
    if pod.get("kind", "Pod") != "Pod":
        raise bad_request(f"the object is a {pod['kind']}, and no Pod")
    metadata = pod.setdefault("metadata", {})
    if metadata.setdefault("namespace", namespace) != namespace:
        named = f"the namespace of the object ({metadata['namespace']})"
        raise ApiError(400, "BadRequest", f"{named} does not match the namespace on the request ({namespace})")
    if causes := list(pod_causes(pod)):
        raise invalid("Pod", metadata.get("name", ""), causes)
    return pod


def pod_causes(pod: Obj) -> Iterator[Cause]:
    """Yield all faults of a pod whose fields have the right types."""
    spec = pod.get("spec") or {}
    yield from _name("metadata.name", pod["metadata"].get("name", ""), _SUBDOMAIN, 253, _SUBDOMAIN_RULE)
    yield from _not_honoured("spec", spec, _NOT_HONOURED_BY_POD)
    for name, least in (("activeDeadlineSeconds", 1), ("terminationGracePeriodSeconds", 0)):
        if spec.get(name, least) < least:
            yield _invalid(f"spec.{name}", spec[name], f"must be greater than or equal to {least}")
    if not spec.get("containers"):
        yield _required("spec.containers")
    volumes = spec.get("volumes") or []
    yield from _named_once("spec.volumes", volumes)
    for index, volume in enumerate(volumes):
        yield from _volume(f"spec.volumes[{index}]", volume)
    yield from _named_once("spec.containers", spec.get("containers") or [])
    for index, container in enumerate(spec.get("containers") or []):
        yield from _container(f"spec.containers[{index}]", container, {volume.get("name") for volume in volumes})


def _volume(field: str, volume: Obj) -> Iterator[Cause]:
    sources = [name for name in volume if name != "name"] or ["emptyDir"]
    if len(sources) > 1:
        yield _forbidden(f"{field}.{sources[1]}", "may not specify more than 1 volume type")
    elif sources[0] not in VOLUME_SOURCES:
        yield _forbidden(f"{field}.{sources[0]}", f"localkube has no such volumes, only {', '.join(VOLUME_SOURCES)}")
    else:
        source, needed = volume.get(sources[0], {}), VOLUME_SOURCES[sources[0]]
        if needed and not source.get(needed):
            yield _required(f"{field}.{sources[0]}.{needed}")
        elif sources[0] == "persistentVolumeClaim" and not _SUBDOMAIN.fullmatch(source["claimName"]):
            yield _invalid(f"{field}.persistentVolumeClaim.claimName", source["claimName"], _SUBDOMAIN_RULE)
        elif sources[0] == "hostPath" and source.get("type", "") not in _HOST_PATHS:
            yield _invalid(f"{field}.hostPath.type", source["type"], f"must be one of {', '.join(_HOST_PATHS[1:])}")


def _container(field: str, container: Obj, volumes: set[Any]) -> Iterator[Cause]:
    yield from _not_honoured(field, container, _NOT_HONOURED_BY_CONTAINER)
    if not container.get("image"):
        yield _required(f"{field}.image")
    if not [*container.get("command", ()), *container.get("args", ())]:
        yield Cause(f"{field}.command", "Required value: localkube has no images that bring one", "FieldValueRequired")
    for index, variable in enumerate(container.get("env", ())):
        yield from _source(f"{field}.env[{index}].valueFrom", variable.get("valueFrom"), "secretKeyRef", "key")
        if not _VARIABLE.fullmatch(variable.get("name", "")):
            yield _invalid(f"{field}.env[{index}].name", variable.get("name", ""), "must be the name of a variable")
    for index, source in enumerate(container.get("envFrom", ())):
        named = {name: value for name, value in source.items() if name != "prefix"}
        yield from _source(f"{field}.envFrom[{index}]", named, "secretRef")
    for kind, amounts in container.get("resources", {}).items():
        for name, value in amounts.items() if kind in ("limits", "requests") else ():
            yield from _amount(f"{field}.resources.{kind}[{name}]", name, str(value))
    paths: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts", ())):
        yield from _mount(f"{field}.volumeMounts[{index}]", mount, volumes, paths)


def _source(field: str, source: Obj | None, kind: str, *more: str) -> Iterator[Cause]:
    """Yield the faults of where a variable comes from, which is a secret or nothing that is honoured."""
    if source is None:
        return
    if set(source) != {kind}:
        yield _forbidden(field, f"localkube has {kind} alone")
        return
    for name in ("name", *more):
        if not source[kind].get(name):
            yield _required(f"{field}.{kind}.{name}")


def _amount(field: str, name: str, text: str) -> Iterator[Cause]:
    try:
        amount = quantity(text)
    except ValueError as error:
        yield _invalid(field, text, str(error))
        return
    if amount < 0:
        yield _invalid(field, text, "must be greater than or equal to 0")
    elif name == GPU and amount % 1:
        yield _invalid(field, text, "must be an integer")


def _mount(field: str, mount: Obj, volumes: set[Any], paths: set[str]) -> Iterator[Cause]:
    yield from _not_honoured(field, mount, ("subPathExpr",))
    path, below = mount.get("mountPath", ""), mount.get("subPath", "")
    if mount.get("name") not in volumes:
        yield Cause(f"{field}.name", f'Not found: "{mount.get("name", "")}"', "FieldValueNotFound")
    if not path:
        yield _required(f"{field}.mountPath")
    elif path in paths:
        yield _invalid(f"{field}.mountPath", path, "must be unique")
    paths.add(path)
    if below.startswith("/") or ".." in below.split("/"):
        yield _invalid(f"{field}.subPath", below, "must be a relative path and must not contain '..'")


def _named_once(field: str, parts: list[Obj]) -> Iterator[Cause]:
    """Containers and volumes become folders of these names."""
    seen: set[str] = set()
    for index, part in enumerate(parts):
        name = part.get("name", "")
        yield from _name(f"{field}[{index}].name", name, _DNS_LABEL, 63, _LABEL_RULE)
        if name in seen:
            yield Cause(f"{field}[{index}].name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
        seen.add(name)


def _name(field: str, name: str, form: re.Pattern[str], longest: int, rule: str) -> Iterator[Cause]:
    if not name:
        yield _required(field)
    elif len(name) > longest or not form.fullmatch(name):
        yield _invalid(field, name, rule)


def _not_honoured(field: str, obj: Obj, names: tuple[str, ...]) -> Iterator[Cause]:
    yield from (_forbidden(f"{field}.{name}", "localkube does not have this") for name in names if obj.get(name))


def _required(field: str) -> Cause:
    return Cause(field, "Required value", "FieldValueRequired")


def _forbidden(field: str, why: str) -> Cause:
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def _invalid(field: str, value: object, rule: str) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(field, f"Invalid value: {shown}: {rule}")


def _mistyped(path: str, value: Any, shape: Any) -> Iterator[tuple[str, str]]:
    if shape is _ANY:
        return
    kind = type(shape) if isinstance(shape, dict | list) else shape
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = _WORDS.get(type(value), "null")
        yield path or "object", f"cannot unmarshal {found} into a field of type {_WORDS[kind]}"
    elif isinstance(shape, list):
        for index, item in enumerate(value):
            yield from _mistyped(f"{path}[{index}]", item, shape[0])
    elif isinstance(shape, dict) and isinstance(value, dict):
        for name, inner in value.items():
            yield from _mistyped(f"{path}.{name}".lstrip("."), inner, shape.get(name, shape.get("*", _ANY)))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value
