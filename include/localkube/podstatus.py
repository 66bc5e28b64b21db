"""A pod's status, from its spec and from what its containers' folders say of their starts and ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from localkube import records
from localkube.logs import last_text
from localkube.objects import Obj, set_condition

_MAX_MESSAGE_BYTES = 4096
_LOG_LINES, _LOG_BYTES = 80, 2048


class Waiting(NamedTuple):
    """Why a container has not started."""

    reason: str = "ContainerCreating"
    message: str = ""


_CREATING = Waiting()


@dataclass(frozen=True)
class ContainerRecord:
    """What is known of a container: the records of its start and end, and its termination message."""

    started: Obj | None = None
    exited: Obj | None = None
    message: str = ""
    waiting: Waiting = _CREATING


_NOTHING = ContainerRecord()


def container_record(folder: Path, container: Obj, waiting: Waiting) -> ContainerRecord:
    """Read what is known of a container; `waiting` is why it has not started, if it has not."""
    exited = records.read(str(folder), records.EXITED)
    message = _termination_message(folder, container, exited) if exited else ""
    return ContainerRecord(records.read(str(folder), records.STARTED), exited, message, waiting)


def update_status(pod: Obj, known: Mapping[str, ContainerRecord]) -> None:
    """Bring the container statuses and conditions of a pod that has a node up to date, in place."""
    uid, containers = pod["metadata"]["uid"], pod["spec"]["containers"]
    statuses = [_container(each, known.get(each["name"], _NOTHING), uid) for each in containers]
    pod["status"]["containerStatuses"] = statuses
    ready = all(each["ready"] for each in statuses)
    set_condition(pod, "Initialized", True)
    set_condition(pod, "Ready", ready, "" if ready else "ContainersNotReady")
    set_condition(pod, "ContainersReady", ready, "" if ready else "ContainersNotReady")


def final_phase(pod: Obj, known: Mapping[str, ContainerRecord]) -> str:
    """Return the phase of a pod whose containers have ended or never will start."""
    ends = [known.get(each["name"], _NOTHING).exited for each in pod["spec"]["containers"]]
    return "Succeeded" if all(end is not None and end["exitCode"] == 0 for end in ends) else "Failed"


def container_state(pod: Obj, container: str) -> Obj:
    """Return the state of a container as the pod's status reports it, empty where it reports none."""
    statuses = pod["status"].get("containerStatuses", [])
    return next((each["state"] for each in statuses if each["name"] == container), {})


def _termination_message(folder: Path, container: Obj, exited: Obj) -> str:
    """Return what the program wrote to the file for it, else, if the pod asks for it, the log's end."""
    path = folder / records.TERMINATION_LOG
    written = path.read_bytes()[:_MAX_MESSAGE_BYTES].decode(errors="replace") if path.exists() else ""
    wants_log = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if written or not wants_log or exited["exitCode"] == 0:
        return written
    return last_text(folder, _LOG_LINES, _LOG_BYTES)


def _container(container: Obj, record: ContainerRecord, uid: str) -> Obj:
    container_id = f"localkube://{uid}/{container['name']}"
    state = _state(record, container_id)
    begun = {"containerID": container_id} if record.started or record.exited else {}
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
