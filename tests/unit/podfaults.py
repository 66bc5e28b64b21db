"""What a Kubernetes API would refuse of a pod: by the published schemas, and by the rules that these do not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

VERSIONS = ("1.31", "1.32", "1.33", "1.34")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_QUANTITY = re.compile(r"(\d+)(m|Ki|Mi|Gi)?")
_UNITS = {None: 1000, "m": 1, "Ki": 1000 * 1024, "Mi": 1000 * 1024**2, "Gi": 1000 * 1024**3}


def faults(pod: dict[str, Any]) -> list[str]:
    """Return what an API server would refuse of a pod although the schema allows it."""
    spec = pod["spec"]
    (container,) = spec["containers"]
    return [
        *_name_faults(pod["metadata"], spec),
        *_mount_faults(spec["volumes"], container["volumeMounts"]),
        *_resource_faults(container["resources"]),
        *_environment_faults(container["env"]),
        *_bound_faults(spec, container),
        *(f"{key} is not positive" for key in ("activeDeadlineSeconds",) if spec[key] < 1),
        *(["restartPolicy"] if spec["restartPolicy"] not in ("Never", "OnFailure", "Always") else []),
        *(["pull policy"] if container["imagePullPolicy"] not in ("IfNotPresent", "Always", "Never") else []),
    ]


def _name_faults(metadata: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    names = [metadata["name"], *(part["name"] for part in [*spec["containers"], *spec["volumes"]])]
    yield from (f"name {name}" for name in names if not _DNS_LABEL.fullmatch(name))
    keys = [*metadata["labels"], *metadata["annotations"]]
    yield from (f"key {key}" for key in keys if not _LABEL_KEY.fullmatch(key))
    yield from (f"label {value!r}" for value in metadata["labels"].values() if not _LABEL_VALUE.fullmatch(value))
    if sum(len(f"{key}{value}".encode()) for key, value in metadata["annotations"].items()) > 262_144:
        yield "annotations too long"


def _mount_faults(volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> Iterator[str]:
    names, paths = [volume["name"] for volume in volumes], [mount["mountPath"] for mount in mounts]
    if len(set(names)) < len(names) or len(set(paths)) < len(paths):
        yield "a name or mount path occurs twice"
    if {mount["name"] for mount in mounts} != set(names):
        yield "volumes and mounts do not match"
    for mount in mounts:
        subpath = mount.get("subPath", "")
        if subpath.startswith("/") or ".." in subpath.split("/") or ":" in mount["mountPath"]:
            yield f"mount {mount}"


def _resource_faults(resources: dict[str, dict[str, str]]) -> Iterator[str]:
    for kind, amount in [*resources["requests"].items(), *resources["limits"].items()]:
        if not _QUANTITY.fullmatch(amount):
            yield f"quantity {kind} {amount}"
    for kind, limit in resources["limits"].items():
        if _thousandths(resources["requests"].get(kind, limit)) > _thousandths(limit):
            yield f"{kind}: more requested than allowed"
        if kind == "nvidia.com/gpu" and resources["requests"].get(kind) != limit:
            yield "GPUs cannot be overcommitted"


def _thousandths(quantity: str) -> int:
    match = _QUANTITY.fullmatch(quantity)
    return int(match[1]) * _UNITS[match[2]] if match else 0


def _environment_faults(variables: list[dict[str, str]]) -> Iterator[str]:
    names = [variable["name"] for variable in variables]
    if len(set(names)) < len(names):
        yield "a variable occurs twice"
    yield from (f"variable {variable}" for variable in variables if not isinstance(variable["value"], str))


def _bound_faults(spec: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    """Say what a stranger's program could take without a bound."""
    limits = container["resources"]["limits"]
    yield from (f"no limit of {kind}" for kind in ("cpu", "memory", "ephemeral-storage") if kind not in limits)
    yield from (f"{kind} is 0" for kind, amount in limits.items() if not _thousandths(amount))
    for volume in spec["volumes"]:
        if "emptyDir" in volume and not _thousandths(volume["emptyDir"].get("sizeLimit", "0")):
            yield f"{volume['name']} has no bound"
    if spec.get("automountServiceAccountToken") is not False or spec.get("enableServiceLinks") is not False:
        yield "the cluster shows itself to the program"
    whole = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "workspace"]
    seen = [mount["mountPath"] for mount in container["volumeMounts"] if mount.get("subPath")]
    yield from (f"all of the workspace at {path}" for path in set(whole) - set(seen))
