"""Events: what happened to a pod, in the words that a real cluster uses."""

from __future__ import annotations

import secrets
import time

from localkube.objects import Key, Obj, key_of
from localkube.store import Store
from localkube.values import parse_time, seconds

_MAX_AGE_SECONDS = 3600.0


class Events:
    """Writes events into the store, counts repeated ones, forgets old ones."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def normal(self, pod: Obj, reason: str, message: str, container: str = "") -> None:
        self._record(pod, "Normal", reason, message, container)

    def warning(self, pod: Obj, reason: str, message: str, container: str = "") -> None:
        self._record(pod, "Warning", reason, message, container)

    def _record(self, pod: Obj, kind: str, reason: str, message: str, container: str) -> None:
        self._forget_old()
        about = _reference(pod, container)
        same = self._same(about, reason, message)
        if same:
            self._store.modify(same, _repeat)
            return
        now = seconds()
        event = {
            "metadata": {
                "name": f"{about['name']}.{secrets.token_hex(8)}",
                "namespace": about["namespace"],
            },
            "involvedObject": about,
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "eventTime": None,
            "source": {
                "component": "kubelet" if pod["spec"].get("nodeName") else "default-scheduler",
                "host": pod["spec"].get("nodeName", ""),
            },
            "reportingComponent": "",
            "reportingInstance": "",
        }
        self._store.create("events", event)

    def _same(self, about: Obj, reason: str, message: str) -> Key | None:
        for event in reversed(self._store.all("events", about["namespace"])):
            if event["involvedObject"]["uid"] == about["uid"] and event["reason"] == reason:
                return key_of("events", event) if event["message"] == message else None
        return None

    def _forget_old(self) -> None:
        """Events lie in memory, oldest first: drop those that last happened more than an hour ago."""
        limit = (time.time() - _MAX_AGE_SECONDS) * 1e9
        for event in self._store.all("events"):
            if parse_time(event["lastTimestamp"]) >= limit:
                break
            self._store.remove(key_of("events", event))


def _repeat(event: Obj) -> None:
    event["count"] += 1
    event["lastTimestamp"] = seconds()


def _reference(pod: Obj, container: str) -> Obj:
    metadata = pod["metadata"]
    about = {"kind": "Pod", "apiVersion": "v1", **{name: metadata[name] for name in ("namespace", "name", "uid")}}
    about["resourceVersion"] = metadata["resourceVersion"]
    return {**about, "fieldPath": f"spec.containers{{{container}}}"} if container else about
