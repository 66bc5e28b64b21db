"""Which objects a client lists, by its selectors, and the columns that `kubectl get` prints of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from localkube.errors import bad_request
from localkube.objects import Obj
from localkube.values import parse_time

Test = Callable[[Obj], bool]
_LabelTest = Callable[[dict[str, str]], bool]

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9_./-]*[A-Za-z0-9])?"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*([A-Za-z0-9_.-]*)")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_FIELD = re.compile(r"([A-Za-z.]+)\s*(==|=|!=)\s*(.*)")


def selection(labels: str, fields: str) -> Test:
    """Return the test of a label and a field selector. Raise ApiError 400 for one that cannot be read."""
    by_label = [_label_requirement(part.strip()) for part in re.split(r",(?![^(]*\))", labels) if part.strip()]
    by_field = [_field_requirement(part.strip()) for part in fields.split(",") if part.strip()]

    def matches(obj: Obj) -> bool:
        found = obj["metadata"].get("labels") or {}
        return all(test(found) for test in by_label) and all(test(obj) for test in by_field)

    return matches


def _label_requirement(text: str) -> _LabelTest:
    if match := _SET.fullmatch(text):
        key, word, inside = match.groups()
        values = {value.strip() for value in inside.split(",")}
        return _is_in(key, values) if word == "in" else _is_not_in(key, values)
    if match := _EQUAL.fullmatch(text):
        key, sign, value = match.groups()
        return _is_not_in(key, {value}) if sign == "!=" else _is_in(key, {value})
    if match := _EXISTS.fullmatch(text):
        absent, key = match.groups()
        return lambda labels: (key in labels) is not bool(absent)
    raise bad_request(f"unable to parse requirement: {text!r} is no label selector")


def _is_in(key: str, values: set[str]) -> _LabelTest:
    return lambda labels: key in labels and labels[key] in values


def _is_not_in(key: str, values: set[str]) -> _LabelTest:
    return lambda labels: key not in labels or labels[key] not in values


def _field_requirement(text: str) -> Test:
    match = _FIELD.fullmatch(text)
    if not match:
        raise bad_request(f"invalid field selector: {text!r}; can't understand it")
    path, sign, value = match.groups()
    return lambda obj: (_field(obj, path) == value) is (sign != "!=")


def _field(obj: Obj, path: str) -> str:
    current: object = obj
    for step in path.split("."):
        current = current.get(step) if isinstance(current, dict) else None
    return "" if current is None else str(current)


def table(plural: str, objects: list[Obj], version: int) -> Obj:
    """Return objects as a Table, which the server makes, as on a real cluster: kubectl itself knows no columns."""
    columns = _COLUMNS.get(plural, _PLAIN)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": str(version)},
        "columnDefinitions": [_definition(name) for name in columns],
        "rows": [{"cells": [cell(obj) for cell in columns.values()], "object": obj} for obj in objects],
    }


def age(moment: str | None) -> str:
    """Return how long ago a time was, as kubectl writes it."""
    if not moment:
        return "<unknown>"
    seconds = max(0, int(time.time() - parse_time(moment) / 1e9))
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
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
    for container in status.get("containerStatuses", []):
        for state in container["state"].values():
            if state.get("reason"):
                return state["reason"]
    return status["phase"]


def _definition(name: str) -> Obj:
    form = "name" if name == "Name" else ""
    return {"name": name, "type": "string", "format": form, "description": "", "priority": int(name in _WIDE)}


def _ready(pod: Obj) -> str:
    states = pod["status"].get("containerStatuses", [])
    return f"{sum(state['ready'] for state in states)}/{len(pod['spec']['containers'])}"


def _event_object(event: Obj) -> str:
    about = event["involvedObject"]
    return f"{about['kind'].lower()}/{about['name']}"


_Cells = dict[str, Callable[[Obj], Any]]
_NAME: _Cells = {"Name": lambda obj: obj["metadata"]["name"]}
_AGE: _Cells = {"Age": lambda obj: age(obj["metadata"]["creationTimestamp"])}
_PLAIN: _Cells = {**_NAME, **_AGE}
_WIDE = ("Node", "Image")  # shown by `-o wide` alone
_COLUMNS: dict[str, _Cells] = {
    "pods": {
        **_NAME,
        "Ready": _ready,
        "Status": pod_word,
        "Restarts": lambda _: "0",
        **_AGE,
        "Node": lambda pod: pod["spec"].get("nodeName", "<none>"),
        "Image": lambda pod: ",".join(each["image"] for each in pod["spec"]["containers"]),
    },
    "services": {
        **_NAME,
        "Type": lambda _: "ClusterIP",
        "Cluster-IP": lambda _: "None",
        "External-IP": lambda _: "<none>",
        "Port(s)": lambda _: "<none>",
        **_AGE,
    },
    "nodes": {
        **_NAME,
        "Status": lambda _: "Ready",
        "Roles": lambda _: "<none>",
        **_AGE,
        "Version": lambda node: node["status"]["nodeInfo"]["kubeletVersion"],
    },
    "events": {
        "Last Seen": lambda event: age(event["lastTimestamp"]),
        "Type": lambda event: event["type"],
        "Reason": lambda event: event["reason"],
        "Object": _event_object,
        "Message": lambda event: event["message"].strip(),
    },
}
