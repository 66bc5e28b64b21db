"""A pod's status from its spec and its containers' records: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from localkube.objects import Obj, is_sidecar
from localkube.timestamps import seconds


class Waiting(NamedTuple):
    """Why a container has not started."""

    reason: str = "ContainerCreating"
    message: str = ""


_CREATING = Waiting()


@dataclass(frozen=True)
class ContainerRecord:
    """What is known of a container: the records of its start and end, and its last words."""

    started: Obj | None = None
    exited: Obj | None = None
    message: str = ""
    waiting: Waiting = _CREATING


_NOTHING = ContainerRecord()


def update_status(pod: Obj, records: Mapping[str, ContainerRecord]) -> None:
    """Bring the container statuses and conditions of a pod that has a node up to date, in place."""
    status, spec = pod["status"], pod["spec"]
    uid = pod["metadata"]["uid"]
    inits = spec.get("initContainers") or []
    if inits:
        status["initContainerStatuses"] = [_container(each, records.get(each["name"], _NOTHING), uid) for each in inits]
    initialized = all(_init_done(each, records.get(each["name"], _NOTHING)) for each in inits)
    default = _NOTHING if initialized else ContainerRecord(waiting=Waiting("PodInitializing"))
    status["containerStatuses"] = [
        _container(each, records.get(each["name"], default), uid) for each in spec["containers"]
    ]
    ready = all(each["ready"] for each in status["containerStatuses"])
    set_condition(pod, "Initialized", initialized)
    set_condition(pod, "Ready", ready, "" if ready else "ContainersNotReady")
    set_condition(pod, "ContainersReady", ready, "" if ready else "ContainersNotReady")


def set_condition(pod: Obj, kind: str, true: bool, reason: str = "", message: str = "") -> None:
    """Set one condition in place; its transition time moves only when it turns."""
    conditions = pod["status"].setdefault("conditions", [])
    old = next((each for each in conditions if each["type"] == kind), None)
    word = "True" if true else "False"
    turned = old is None or old["status"] != word
    new = {
        "type": kind,
        "status": word,
        "lastProbeTime": None,
        "lastTransitionTime": seconds() if turned or old is None else old["lastTransitionTime"],
        **({"reason": reason} if reason else {}),
        **({"message": message} if message else {}),
    }
    if old is None:
        conditions.append(new)
    else:
        conditions[conditions.index(old)] = new


def final_phase(pod: Obj, records: Mapping[str, ContainerRecord]) -> str:
    """Return the phase of a pod whose containers have ended or never will start."""
    ends = [records.get(each["name"], _NOTHING).exited for each in pod["spec"]["containers"]]
    return "Succeeded" if all(end is not None and end["exitCode"] == 0 for end in ends) else "Failed"


def _init_done(container: Obj, record: ContainerRecord) -> bool:
    if is_sidecar(container):
        return record.started is not None
    return record.exited is not None and record.exited["exitCode"] == 0


def _container(container: Obj, record: ContainerRecord, uid: str) -> Obj:
    state = _state(record, f"trainyard://{uid}/{container['name']}")
    begun = {"containerID": f"trainyard://{uid}/{container['name']}"} if record.started or record.exited else {}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": container["image"] if begun else "",
        "restartCount": 0,
        "ready": "running" in state,
        "started": "running" in state,
        "state": state,
        "lastState": {},
        **begun,
    }


def _state(record: ContainerRecord, container_id: str) -> Obj:
    if record.exited:
        return {"terminated": _terminated(record, record.exited, container_id)}
    if record.started:
        return {"running": {"startedAt": _whole_seconds(record.started["startedAt"])}}
    reason, message = record.waiting
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def _terminated(record: ContainerRecord, end: Obj, container_id: str) -> Obj:
    message = record.message or end.get("message")
    finished = _whole_seconds(end["finishedAt"])
    return {
        "exitCode": end["exitCode"],
        "reason": end["reason"],
        **({"message": message} if message else {}),
        "startedAt": _whole_seconds(record.started["startedAt"]) if record.started else finished,
        "finishedAt": finished,
        "containerID": container_id,
    }


def _whole_seconds(time: str) -> str:
    return time[:19] + "Z"
