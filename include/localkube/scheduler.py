"""The scheduler: gives pods a node, first come first served among those that want GPUs; a group whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice

from localkube.config import Config
from localkube.events import Events
from localkube.objects import (
    GPU,
    GPU_ANNOTATION,
    Obj,
    gpus_held,
    gpus_wanted,
    group_of,
    is_finished,
    key_of,
    set_condition,
)
from localkube.store import Store

_Place = tuple[str, list[str]]  # a node, and the GPUs that it gives


class Scheduler:
    """`start` is called with every pod that was given a node."""

    def __init__(self, store: Store, config: Config, events: Events, start: Callable[[Obj], None]) -> None:
        self._store = store
        self._config = config
        self._events = events
        self._start = start
        nodes = len(config.node_gpus)
        self._no_gpu = f"0/{nodes} nodes are available: {nodes} Insufficient {GPU}."

    def schedule(self) -> None:
        """Give a node to every pod that can have one now, and to all of a group at once or to none.

        Whoever's GPUs are not free holds up all later ones that want some, else small ones would overtake a large one
        for ever. Pods without a GPU are never held up, and what wants more than there are holds up nobody.
        """
        free, held_up = self._free_gpus(), False
        for pods, size in self._waiting():
            if len(pods) < size:
                self._explain(pods, f"the pod group has {len(pods)} of its {size} pods.")
                continue
            wants, everything = any(map(gpus_wanted, pods)), self._all_gpus()
            places = None if wants and held_up else _places(pods, free)
            if places is None:
                held_up = held_up or _places(pods, everything) is not None
                self._explain(pods, self._no_gpu)
                continue
            for pod, (node, gpus) in zip(pods, places, strict=True):
                self._bind(pod, node, gpus)
                free[node] = [gpu for gpu in free[node] if gpu not in gpus]

    def _waiting(self) -> list[tuple[list[Obj], int]]:
        """Return the pods that wait by their groups, the oldest first, with how many each group is to have."""
        groups: dict[tuple[str, str], tuple[list[Obj], int]] = {}
        for pod in self._store.all("pods"):
            if not pod["spec"].get("nodeName") and not is_finished(pod):
                name, size = group_of(pod)
                key = (pod["metadata"]["namespace"], name or f"/{pod['metadata']['name']}")
                groups.setdefault(key, ([], size))[0].append(pod)
        return list(groups.values())

    def _all_gpus(self) -> dict[str, list[str]]:
        return {node: list(gpus) for node, gpus in self._config.node_gpus.items()}

    def _free_gpus(self) -> dict[str, list[str]]:
        held = {gpu for pod in self._store.all("pods") if not is_finished(pod) for gpu in gpus_held(pod)}
        return {node: [gpu for gpu in gpus if gpu not in held] for node, gpus in self._all_gpus().items()}

    def _explain(self, pods: Sequence[Obj], why: str) -> None:
        for pod in pods:
            conditions = pod["status"].get("conditions", [])
            if any(each["type"] == "PodScheduled" and each.get("message") == why for each in conditions):
                continue
            self._store.modify(
                key_of("pods", pod), lambda new: set_condition(new, "PodScheduled", False, "Unschedulable", why)
            )
            self._events.warning(pod, "FailedScheduling", why)

    def _bind(self, pod: Obj, node: str, gpus: list[str]) -> None:
        def change(new: Obj) -> None:
            new["spec"]["nodeName"] = node
            if gpus:
                new["metadata"].setdefault("annotations", {})[GPU_ANNOTATION] = ",".join(gpus)
            set_condition(new, "PodScheduled", True)

        metadata = pod["metadata"]
        self._events.normal(
            pod, "Scheduled", f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node}"
        )
        self._start(self._store.modify(key_of("pods", pod), change))


def _places(pods: Sequence[Obj], free: dict[str, list[str]]) -> list[_Place] | None:
    """Return a place for each pod, None unless all have one; each looks first at the node after the last one given."""
    left, found, first = {node: list(gpus) for node, gpus in free.items()}, list[_Place](), 0
    for pod in pods:
        wanted, nodes = gpus_wanted(pod), list(left)
        order = islice(cycle(nodes), first, first + len(nodes))
        node = next((node for node in order if len(left[node]) >= wanted), None)
        if node is None:
            return None
        found.append((node, left[node][:wanted]))
        left[node] = left[node][wanted:]
        first = (nodes.index(node) + 1) % len(nodes)
    return found
