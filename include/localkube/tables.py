"""Tables: the columns that `kubectl get` prints, made by the server as on a real cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from localkube.objects import Obj, containers_of
from localkube.timestamps import parse


class Column(NamedTuple):
    """One column; a wide one is shown by `-o wide` alone."""

    name: str
    cell: Callable[[Obj], Any]
    wide: bool = False
    kind: str = "string"


def table(plural: str, objects: list[Obj], version: int, include: str = "Metadata") -> Obj:
    """Return objects as a Table; `include` says what each row carries of its object (Object, Metadata, None)."""
    columns = _COLUMNS.get(plural, _PLAIN)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": str(version)},
        "columnDefinitions": [_definition(column) for column in columns],
        "rows": [_row(columns, obj, include) for obj in objects],
    }


def age(moment: str | None) -> str:
    """Return how long ago a time was, as kubectl writes it."""
    if not moment:
        return "<unknown>"
    seconds = max(0, int(time.time() - parse(moment) / 1e9))
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    return f"{hours}h" if hours < 48 else f"{days}d"


def pod_word(pod: Obj) -> str:
    """Return the one word that sums up a pod's state."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    status = pod["status"]
    if status.get("reason"):
        return status["reason"]
    for container in status.get("initContainerStatuses", []):
        state = container["state"]
        if state.get("terminated", {}).get("exitCode"):
            return f"Init:{state['terminated']['reason']}"
        if state.get("waiting", {}).get("reason") not in (None, "PodInitializing"):
            return f"Init:{state['waiting']['reason']}"
    for container in status.get("containerStatuses", []):
        for state in container["state"].values():
            if state.get("reason"):
                return state["reason"]
    return status["phase"]


def _definition(column: Column) -> Obj:
    form = "name" if column.name == "Name" else ""
    priority = 1 if column.wide else 0
    return {"name": column.name, "type": column.kind, "format": form, "description": "", "priority": priority}


def _row(columns: tuple[Column, ...], obj: Obj, include: str) -> Obj:
    row: Obj = {"cells": [column.cell(obj) for column in columns]}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": obj["metadata"],
        }
    return row


def _name(obj: Obj) -> str:
    return obj["metadata"]["name"]


def _age(obj: Obj) -> str:
    return age(obj["metadata"]["creationTimestamp"])


def _phase(obj: Obj) -> str:
    return (obj.get("status") or {}).get("phase", "")


def _ready(pod: Obj) -> str:
    states = pod["status"].get("containerStatuses", [])
    return f"{sum(state['ready'] for state in states)}/{len(pod['spec']['containers'])}"


def _node_ready(_: Obj) -> str:
    return "Ready"


def _size(obj: Obj) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


def _event_object(event: Obj) -> str:
    about = event.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


_NAME, _AGE = Column("Name", _name), Column("Age", _age)
_PLAIN = (_NAME, _AGE)
_COLUMNS: dict[str, tuple[Column, ...]] = {
    "pods": (
        _NAME,
        Column("Ready", _ready),
        Column("Status", pod_word),
        Column("Restarts", lambda _: "0"),
        _AGE,
        Column("IP", lambda pod: pod["status"].get("podIP", "<none>"), wide=True),
        Column("Node", lambda pod: pod["spec"].get("nodeName", "<none>"), wide=True),
        Column("Images", lambda pod: ",".join(each["image"] for each in containers_of(pod)), wide=True),
    ),
    "nodes": (
        _NAME,
        Column("Status", _node_ready),
        Column("Roles", lambda _: "<none>"),
        _AGE,
        Column("Version", lambda node: node["status"]["nodeInfo"]["kubeletVersion"]),
    ),
    "events": (
        Column("Last Seen", lambda event: age(event.get("lastTimestamp"))),
        Column("Type", lambda event: event.get("type", "")),
        Column("Reason", lambda event: event.get("reason", "")),
        Column("Object", _event_object),
        Column("Message", lambda event: (event.get("message") or "").strip()),
        Column("Name", _name, wide=True),
    ),
    "namespaces": (_NAME, Column("Status", _phase), _AGE),
    "secrets": (_NAME, Column("Type", lambda secret: secret["type"]), Column("Data", _size, kind="integer"), _AGE),
    "configmaps": (_NAME, Column("Data", _size, kind="integer"), _AGE),
    "persistentvolumeclaims": (_NAME, Column("Status", _phase), _AGE),
}
