"""A container's environment: from its spec alone, never from the server's own."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping

from localkube.admission import gpus_wanted
from localkube.config import GPU_ANNOTATION
from localkube.objects import Key, Obj, limit_of
from localkube.quantities import GPU, whole
from localkube.store import Store
from localkube.waiting import config_failed

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]+)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "metadata.uid": ("metadata", "uid"),
    "spec.nodeName": ("spec", "nodeName"),
    "spec.serviceAccountName": ("spec", "serviceAccountName"),
    "status.hostIP": ("status", "hostIP"),
    "status.podIP": ("status", "podIP"),
}


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace each `$(NAME)` that is known; `$$` is a `$`, an unknown name stays as it is."""
    return _REFERENCE.sub(lambda match: env.get(match[1], match[0]) if match[1] else "$", text)


def base_environment(pod: Obj) -> dict[str, str]:
    """Return what a container's programs find without asking; its spec may overrule all but the GPUs."""
    return {
        "HOME": os.environ.get("HOME", "/"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"],
    }


def gpu_environment(pod: Obj, container: Obj) -> dict[str, str]:
    """Return what makes CUDA see the pod's own GPUs and no other, none for a container that asked for none."""
    held = pod["metadata"].get("annotations", {}).get(GPU_ANNOTATION, "").split(",")
    first = 0
    for other in pod["spec"]["containers"]:
        if other["name"] == container["name"]:
            break
        first += whole(limit_of(other, GPU))
    count = whole(limit_of(container, GPU))
    start = first if first + count <= gpus_wanted(pod) else 0  # init containers run before the others
    return {"CUDA_VISIBLE_DEVICES": ",".join(held[start : start + count])}


def declared_environment(pod: Obj, container: Obj, store: Store) -> dict[str, str]:
    """Return what the spec says, references to objects resolved.

    Raise NotReadyError for a secret, config map, key or field that is not there.
    """
    env: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        env |= dict(_whole_object(pod, source, store))
    for variable in container.get("env") or []:
        value = _value(pod, variable, store)
        if value is not None:
            env[variable["name"]] = expand(value, env) if "valueFrom" not in variable else value
    return env


def _whole_object(pod: Obj, source: Obj, store: Store) -> Iterator[tuple[str, str]]:
    for field, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
        reference = source.get(field)
        if reference:
            for key, value in (_data(pod, plural, reference, store) or {}).items():
                yield source.get("prefix", "") + key, value


def _value(pod: Obj, variable: Obj, store: Store) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return variable.get("value") or ""
    if reference := source.get("fieldRef"):
        return _field(pod, reference["fieldPath"])
    for field, plural in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if reference := source.get(field):
            return _key(pod, plural, reference, store)
    raise config_failed(f"the local cluster cannot resolve valueFrom of {variable['name']}: {', '.join(source)}")


def _key(pod: Obj, plural: str, reference: Obj, store: Store) -> str | None:
    data = _data(pod, plural, reference, store)
    if data is None or (reference["key"] not in data and reference.get("optional")):
        return None
    if reference["key"] not in data:
        where = f"{plural.removesuffix('s')} {pod['metadata']['namespace']}/{reference['name']}"
        raise config_failed(f"couldn't find key {reference['key']} in {where}")
    return data[reference["key"]]


def _data(pod: Obj, plural: str, reference: Obj, store: Store) -> dict[str, str] | None:
    found = store.find(Key(plural, pod["metadata"]["namespace"], reference.get("name", "")))
    if found is None and not reference.get("optional"):
        raise config_failed(f'{plural.removesuffix("s")} "{reference.get("name", "")}" not found')
    if found is None:
        return None
    data = found.get("data") or {}
    if plural == "configmaps":
        return data
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def _field(pod: Obj, path: str) -> str:
    if match := _SUBSCRIPT.fullmatch(path):
        return (pod["metadata"].get(match[1]) or {}).get(match[2], "")
    if path not in _FIELDS:
        raise config_failed(f'unsupported fieldPath: "{path}"')
    section, name = _FIELDS[path]
    return str(pod.get(section, {}).get(name, ""))
