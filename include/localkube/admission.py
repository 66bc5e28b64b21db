"""What the API demands of a pod, checked whole: every fault is a cause of one 422 answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from localkube import naming
from localkube.naming import invalid_value
from localkube.objects import Obj
from localkube.quantities import GPU, quantity
from localkube.status import Cause

_NEVER_FRACTIONS = ("memory", "ephemeral-storage")
_VOLUME_LIMIT = "must not contain '..'"


def pod_causes(pod: Obj) -> list[Cause]:
    """Return all faults of a pod whose fields have the right types; none if it is sound."""
    spec = pod.get("spec") or {}
    return [*_metadata(pod.get("metadata") or {}), *_spec(spec), *_all_containers(spec), *_volumes(spec)]


def object_causes(obj: Obj) -> list[Cause]:
    """Return all faults of what every object has: name, labels, annotations."""
    return list(_metadata(obj.get("metadata") or {}))


def _metadata(metadata: Obj) -> Iterator[Cause]:
    yield from naming.object_name_causes(metadata)
    yield from naming.label_causes("metadata.labels", metadata.get("labels"))
    yield from naming.annotation_causes("metadata.annotations", metadata.get("annotations"))


def _spec(spec: Obj) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield Cause("spec.containers", "Required value", "FieldValueRequired")
    yield from _choice("spec.restartPolicy", spec, "restartPolicy", ("Always", "OnFailure", "Never"))
    yield from _choice(
        "spec.dnsPolicy", spec, "dnsPolicy", ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    )
    yield from _at_least("spec.activeDeadlineSeconds", spec, "activeDeadlineSeconds", 1)
    yield from _at_least("spec.terminationGracePeriodSeconds", spec, "terminationGracePeriodSeconds", 0)
    yield from naming.label_causes("spec.nodeSelector", spec.get("nodeSelector"))


def _choice(field: str, obj: Obj, name: str, allowed: Iterable[str]) -> Iterator[Cause]:
    if (value := obj.get(name)) is not None and value not in allowed:
        supported = ", ".join(f'"{word}"' for word in allowed)
        yield Cause(field, f'Unsupported value: "{value}": supported values: {supported}', "FieldValueNotSupported")


def _at_least(field: str, obj: Obj, name: str, least: int) -> Iterator[Cause]:
    if (value := obj.get(name)) is not None and value < least:
        yield invalid_value(field, value, f"must be greater than or equal to {least}")


def _all_containers(spec: Obj) -> Iterator[Cause]:
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    seen: set[str] = set()
    for plural in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(plural) or []):
            field = f"spec.{plural}[{index}]"
            yield from _duplicate(f"{field}.name", container.get("name", ""), seen)
            yield from _container(field, container, volumes)
            yield from _restart(field, plural, container)


def _restart(field: str, plural: str, container: Obj) -> Iterator[Cause]:
    if "restartPolicy" in container and plural == "containers":
        message = "Forbidden: may not be set for non-init containers"
        yield Cause(f"{field}.restartPolicy", message, "FieldValueForbidden")
    yield from _choice(f"{field}.restartPolicy", container, "restartPolicy", ("Always",))


def _duplicate(field: str, name: str, seen: set[str]) -> Iterator[Cause]:
    if name and name in seen:
        yield Cause(field, f'Duplicate value: "{name}"', "FieldValueDuplicate")
    seen.add(name)


def _container(field: str, container: Obj, volumes: set[Any]) -> Iterator[Cause]:
    yield from naming.part_name_causes(f"{field}.name", container.get("name", ""))
    image = container.get("image", "")
    if not image:
        yield Cause(f"{field}.image", "Required value", "FieldValueRequired")
    elif image != image.strip():
        yield invalid_value(f"{field}.image", image, "must not have leading or trailing whitespace")
    yield from _choice(f"{field}.imagePullPolicy", container, "imagePullPolicy", ("Always", "IfNotPresent", "Never"))
    policies = ("File", "FallbackToLogsOnError")
    yield from _choice(f"{field}.terminationMessagePolicy", container, "terminationMessagePolicy", policies)
    yield from _environment(field, container)
    yield from _resources(f"{field}.resources", container.get("resources") or {})
    yield from _mounts(f"{field}.volumeMounts", container.get("volumeMounts") or [], volumes)


def _environment(field: str, container: Obj) -> Iterator[Cause]:
    for index, variable in enumerate(container.get("env") or []):
        place = f"{field}.env[{index}]"
        if not variable.get("name"):
            yield Cause(f"{place}.name", "Required value", "FieldValueRequired")
        elif not naming.is_variable(variable["name"]):
            yield invalid_value(
                f"{place}.name", variable["name"], "a valid environment variable name must not hold '='"
            )
        sources = variable.get("valueFrom")
        if sources is not None and len(sources) != 1:
            yield invalid_value(f"{place}.valueFrom", "", "must specify exactly one of the sources")
        if sources and variable.get("value"):
            yield invalid_value(f"{place}.valueFrom", "", "may not be specified when `value` is not empty")


def _resources(field: str, resources: Obj) -> Iterator[Cause]:
    amounts: dict[tuple[str, str], Decimal] = {}
    for kind in ("limits", "requests"):
        for name, value in (resources.get(kind) or {}).items():
            place = f"{field}.{kind}[{name}]"
            try:
                amounts[kind, name] = quantity(str(value))
            except ValueError as error:
                yield invalid_value(place, str(value), str(error))
                continue
            yield from _amount(place, name, str(value), amounts[kind, name])
    yield from _compared(field, amounts)


def _amount(place: str, name: str, value: str, amount: Decimal) -> Iterator[Cause]:
    if amount < 0:
        yield invalid_value(place, value, "must be greater than or equal to 0")
    elif "/" in name and amount % 1:
        yield invalid_value(place, value, "must be an integer")
    elif "/" not in name and name not in ("cpu", "memory", "ephemeral-storage") and not name.startswith("hugepages-"):
        yield invalid_value(place, name, "must be a standard resource for containers")
    elif name in _NEVER_FRACTIONS and 0 < amount < 1:
        yield invalid_value(place, value, "must be at least one byte")


def _compared(field: str, amounts: dict[tuple[str, str], Decimal]) -> Iterator[Cause]:
    for (kind, name), request in amounts.items():
        if kind != "requests":
            continue
        limit = amounts.get(("limits", name))
        if "/" in name and limit != request:
            yield invalid_value(f"{field}.requests", str(request), f"must be equal to {name} limit of {limit or 0}")
        elif limit is not None and request > limit:
            message = f"must be less than or equal to {name} limit of {limit}"
            yield invalid_value(f"{field}.requests", str(request), message)


def _mounts(field: str, mounts: list[Obj], volumes: set[Any]) -> Iterator[Cause]:
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        place = f"{field}[{index}]"
        if mount.get("name") not in volumes:
            yield Cause(f"{place}.name", f'Not found: "{mount.get("name", "")}"', "FieldValueNotFound")
        path = mount.get("mountPath", "")
        if not path:
            yield Cause(f"{place}.mountPath", "Required value", "FieldValueRequired")
        elif path in paths:
            yield invalid_value(f"{place}.mountPath", path, "must be unique")
        paths.add(path)
        yield from _relative(f"{place}.subPath", mount.get("subPath", ""))


def _relative(field: str, path: str) -> Iterator[Cause]:
    if path.startswith("/"):
        yield invalid_value(field, path, "must be a relative path")
    if ".." in path.split("/"):
        yield invalid_value(field, path, _VOLUME_LIMIT)


def _volumes(spec: Obj) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or []):
        field = f"spec.volumes[{index}]"
        yield from naming.part_name_causes(f"{field}.name", volume.get("name", ""))
        yield from _duplicate(f"{field}.name", volume.get("name", ""), seen)
        sources = [name for name in volume if name != "name"]
        if len(sources) > 1:
            message = "Forbidden: may not specify more than 1 volume type"
            yield Cause(f"{field}.{sources[1]}", message, "FieldValueForbidden")
        for source in sources[:1]:
            yield from _volume_source(f"{field}.{source}", source, volume[source] or {})


def _volume_source(field: str, source: str, content: Obj) -> Iterator[Cause]:
    needed = {
        "hostPath": "path",
        "persistentVolumeClaim": "claimName",
        "secret": "secretName",
        "configMap": "name",
    }.get(source)
    if needed and not content.get(needed):
        yield Cause(f"{field}.{needed}", "Required value", "FieldValueRequired")
    if source == "persistentVolumeClaim" and (claim := content.get("claimName")) and not naming.is_claim_name(claim):
        yield invalid_value(f"{field}.claimName", claim, "must be the name of a claim")
    if source == "hostPath":
        if ".." in content.get("path", "").split("/"):
            yield invalid_value(f"{field}.path", content["path"], _VOLUME_LIMIT)
        kinds = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
        yield from _choice(f"{field}.type", content, "type", kinds)
    for index, item in enumerate(content.get("items") or [] if isinstance(content, dict) else []):
        yield from _relative(f"{field}.items[{index}].path", item.get("path", ""))


def gpus_wanted(pod: Obj) -> int:
    """Return how many GPUs a pod holds: of its containers together, or of its greediest init container."""
    spec = pod["spec"]
    together = sum(_gpus(container) for container in spec["containers"])
    return max([together, *(_gpus(container) for container in spec.get("initContainers") or [])])


def _gpus(container: Obj) -> int:
    return int(quantity(str(((container.get("resources") or {}).get("limits") or {}).get(GPU, "0"))))
