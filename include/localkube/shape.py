"""The fields of a pod and their types, so that a mistyped one is refused as the real API refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from localkube.objects import Obj
from localkube.status import bad_request

_ANY, _TEXT, _NUMBER, _BOOL, _OBJECT, _LIST = object, str, int, bool, dict, list
_TEXTS = {"*": _TEXT}  # a map of any key to text
_MAP = {"*": _ANY}


def _fields(kind: Any, names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), kind)


_METADATA = {
    **_fields(_TEXT, "name generateName namespace uid resourceVersion selfLink creationTimestamp deletionTimestamp"),
    **_fields(_NUMBER, "generation deletionGracePeriodSeconds"),
    **_fields(_TEXTS, "labels annotations"),
    **_fields([_ANY], "ownerReferences finalizers managedFields"),
}
_KEY_REF = {"name": _TEXT, "key": _TEXT, "optional": _BOOL}
_ENV = {
    "name": _TEXT,
    "value": _TEXT,
    "valueFrom": {
        "fieldRef": {"apiVersion": _TEXT, "fieldPath": _TEXT},
        "resourceFieldRef": _MAP,
        "configMapKeyRef": _KEY_REF,
        "secretKeyRef": _KEY_REF,
        "fileKeyRef": _MAP,
    },
}
_SOURCE_REF = {"name": _TEXT, "optional": _BOOL}
_MOUNT = {
    **_fields(_TEXT, "name mountPath subPath subPathExpr mountPropagation recursiveReadOnly"),
    "readOnly": _BOOL,
}
_CONTAINER = {
    **_fields(_TEXT, "name image imagePullPolicy workingDir terminationMessagePath terminationMessagePolicy"),
    **_fields(_TEXT, "restartPolicy"),
    **_fields([_TEXT], "command args"),
    **_fields(_BOOL, "stdin stdinOnce tty"),
    **_fields(_MAP, "lifecycle livenessProbe readinessProbe startupProbe securityContext"),
    **_fields([_ANY], "ports resizePolicy restartPolicyRules volumeDevices"),
    "env": [_ENV],
    "envFrom": [{"prefix": _TEXT, "configMapRef": _SOURCE_REF, "secretRef": _SOURCE_REF}],
    "resources": {"limits": _MAP, "requests": _MAP, "claims": [_ANY]},
    "volumeMounts": [_MOUNT],
}
_FILES = {"items": [{"key": _TEXT, "path": _TEXT, "mode": _NUMBER}], "defaultMode": _NUMBER, "optional": _BOOL}
_VOLUME = {
    "name": _TEXT,
    "emptyDir": {"medium": _TEXT, "sizeLimit": _ANY},
    "hostPath": {"path": _TEXT, "type": _TEXT},
    "persistentVolumeClaim": {"claimName": _TEXT, "readOnly": _BOOL},
    "secret": {"secretName": _TEXT, **_FILES},
    "configMap": {"name": _TEXT, **_FILES},
    **_fields(_MAP, "projected downwardAPI csi ephemeral image nfs iscsi fc flexVolume rbd cephfs glusterfs cinder"),
    **_fields(_MAP, "awsElasticBlockStore gcePersistentDisk azureDisk azureFile vsphereVolume portworxVolume"),
    **_fields(_MAP, "gitRepo quobyte flocker storageos scaleIO photonPersistentDisk"),
}
_SPEC = {
    **_fields(_TEXT, "restartPolicy dnsPolicy serviceAccountName serviceAccount nodeName hostname subdomain"),
    **_fields(_TEXT, "schedulerName priorityClassName runtimeClassName preemptionPolicy hostnameOverride"),
    **_fields(_NUMBER, "terminationGracePeriodSeconds activeDeadlineSeconds priority"),
    **_fields(_BOOL, "automountServiceAccountToken hostNetwork hostPID hostIPC hostUsers shareProcessNamespace"),
    **_fields(_BOOL, "enableServiceLinks setHostnameAsFQDN"),
    **_fields(_MAP, "affinity dnsConfig os overhead resources securityContext"),
    **_fields([_ANY], "ephemeralContainers hostAliases imagePullSecrets readinessGates resourceClaims schedulingGates"),
    **_fields([_ANY], "tolerations topologySpreadConstraints"),
    "nodeSelector": _TEXTS,
    "containers": [_CONTAINER],
    "initContainers": [_CONTAINER],
    "volumes": [_VOLUME],
}
POD = {"kind": _TEXT, "apiVersion": _TEXT, "metadata": _METADATA, "spec": _SPEC, "status": _MAP}
OTHER = {"metadata": _METADATA, "*": _ANY}
_WORDS = {str: "string", int: "number", bool: "bool", dict: "object", list: "array", float: "number"}


class _Odd(NamedTuple):
    """A value that does not fit: its path, and what is wrong; `unknown` ones matter in strict validation alone."""

    path: str
    text: str
    unknown: bool = False


def check_shape(obj: Any, shape: dict[str, Any], strict: bool) -> None:
    """Refuse an object whose fields have the wrong type, or, if strict, that the API does not have.

    Raise ApiError 400.
    """
    found = list(_odd("", obj, shape))
    wrong = [odd for odd in found if not odd.unknown]
    if wrong:
        raise bad_request(f"the object cannot be decoded: {wrong[0].path}: {wrong[0].text}")
    if strict and found:
        raise bad_request("strict decoding error: " + ", ".join(odd.text for odd in found))


def known_fields(obj: Obj, shape: dict[str, Any]) -> Obj:
    """Return the object without fields that the API does not have and without nulls, as the API stores it."""
    return _known(obj, shape)


def _odd(path: str, value: Any, shape: Any) -> Iterator[_Odd]:
    if value is None or shape is _ANY:
        return
    kind = type(shape) if isinstance(shape, dict | list) else shape
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        seen = _WORDS.get(type(value), "null")
        yield _Odd(path or "object", f"cannot unmarshal {seen} into a field of type {_WORDS[kind]}")
    elif isinstance(shape, list):
        for index, item in enumerate(value):
            yield from _odd(f"{path}[{index}]", item, shape[0])
    elif isinstance(shape, dict) and isinstance(value, dict):
        yield from _odd_fields(path, value, shape)


def _odd_fields(path: str, value: Obj, shape: dict[str, Any]) -> Iterator[_Odd]:
    for name, inner in value.items():
        place = f"{path}.{name}".lstrip(".")
        if name in shape or "*" in shape:
            yield from _odd(place, inner, shape.get(name, shape.get("*")))
        else:
            yield _Odd(place, f'unknown field "{place}"', unknown=True)


def _known(value: Any, shape: Any) -> Any:
    if isinstance(shape, list) and isinstance(value, list):
        return [_known(item, shape[0]) for item in value if item is not None]
    if isinstance(shape, dict) and isinstance(value, dict):
        wanted = {name: shape.get(name, shape.get("*")) for name in value if name in shape or "*" in shape}
        return {name: _known(value[name], inner) for name, inner in wanted.items() if value[name] is not None}
    return value
