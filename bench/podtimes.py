"""When the pods of a cluster began and ended to hold their GPUs, as a watch reports it, to the millisecond."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainyard.local.ready import wait_for

_OVER = ("Succeeded", "Failed")


@dataclass
class PodTimes:
    """Name of a pod -> when it was first seen to run, and to have ended (seconds since the epoch)."""

    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def note(self, change: str, pod: dict[str, Any], now: float) -> None:
        name, phase = pod["metadata"]["name"], pod.get("status", {}).get("phase")
        if phase == "Running" or phase in _OVER:
            self.began.setdefault(name, now)
        if phase in _OVER or change == "DELETED":
            self.ended.setdefault(name, now)

    def wait(self, count: int, limit_seconds: float) -> list[tuple[float, float]]:
        """Wait until so many pods have ended; return their beginnings and ends in the order of the beginnings."""
        assert wait_for(lambda: len(self.ended) >= count, limit_seconds), f"{len(self.ended)} of {count} pods ended"
        return sorted((self.began[name], end) for name, end in self.ended.items())


def gaps(held: list[tuple[float, float]], at_once: int = 1) -> list[float]:
    """Return the seconds between the end of each pod and the beginning of its successor, of so many at once."""
    begun, ended = sorted(begin for begin, _ in held), sorted(end for _, end in held)
    return [later - end for end, later in zip(ended, begun[at_once:], strict=False)]


def idle_percent(held: list[tuple[float, float]], gpus: int) -> float:
    """Return how much of the GPUs' time no pod held, from the first beginning to the last end; one GPU a pod."""
    busy = sum(ended - begun for begun, ended in held)
    whole = max(ended for _, ended in held) - min(begun for begun, _ in held)
    return 100 * (1 - busy / (gpus * whole))


@contextmanager
def pod_times(kubeconfig: Path) -> Iterator[PodTimes]:
    """Watch the pods of the namespace `default` in a thread, from now on."""
    from kubernetes import client, config, watch
    from urllib3.exceptions import HTTPError

    api = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))
    known = {pod.metadata.name for pod in api.list_namespaced_pod("default").items}
    times, watching, ending = PodTimes(), watch.Watch(), threading.Event()

    def follow() -> None:
        while not ending.is_set():
            with suppress(HTTPError):  # it is cut off at the end
                for event in watching.stream(api.list_namespaced_pod, "default", timeout_seconds=5):
                    if event["raw_object"]["metadata"]["name"] not in known:
                        times.note(event["type"], event["raw_object"], time.time())

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield times
    finally:
        ending.set()
        watching.stop()
        thread.join(15)
