"""The scheduler: gives pods the node, first come first served among those that want GPUs."""

from __future__ import annotations

from collections.abc import Callable

from localkube.config import NODE, Config
from localkube.events import Events
from localkube.objects import GPU, GPU_ANNOTATION, Obj, gpus_held, gpus_wanted, is_finished, key_of, set_condition
from localkube.store import Store

_NO_GPU = f"0/1 nodes are available: 1 Insufficient {GPU}."


class Scheduler:
    """`start` is called with every pod that was given the node."""

    def __init__(self, store: Store, config: Config, events: Events, start: Callable[[Obj], None]) -> None:
        self._store = store
        self._config = config
        self._events = events
        self._start = start

    def schedule(self) -> None:
        """Give the node to every pod that can have it now.

        A pod whose GPUs are not free holds up all later GPU pods, else small ones would overtake a large one for ever.
        Pods without a GPU are never held up, and one that wants more than there are holds up nobody.
        """
        free = self._free_gpus()
        held_up = False
        for pod in self._waiting():
            wanted = gpus_wanted(pod)
            if wanted > len(self._config.gpus) or (wanted and (held_up or wanted > len(free))):
                held_up = held_up or wanted <= len(self._config.gpus)
                self._explain(pod)
            else:
                self._bind(pod, free[:wanted])
                free = free[wanted:]

    def _waiting(self) -> list[Obj]:
        return [pod for pod in self._store.all("pods") if not pod["spec"].get("nodeName") and not is_finished(pod)]

    def _free_gpus(self) -> list[str]:
        held = {gpu for pod in self._store.all("pods") if not is_finished(pod) for gpu in gpus_held(pod)}
        return [gpu for gpu in self._config.gpus if gpu not in held]

    def _explain(self, pod: Obj) -> None:
        conditions = pod["status"].get("conditions", [])
        if any(each["type"] == "PodScheduled" and each["status"] == "False" for each in conditions):
            return
        self._store.modify(
            key_of("pods", pod), lambda new: set_condition(new, "PodScheduled", False, "Unschedulable", _NO_GPU)
        )
        self._events.warning(pod, "FailedScheduling", _NO_GPU)

    def _bind(self, pod: Obj, gpus: list[str]) -> None:
        def change(new: Obj) -> None:
            new["spec"]["nodeName"] = NODE
            if gpus:
                new["metadata"].setdefault("annotations", {})[GPU_ANNOTATION] = ",".join(gpus)
            set_condition(new, "PodScheduled", True)

        metadata = pod["metadata"]
        self._events.normal(
            pod, "Scheduled", f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {NODE}"
        )
        self._start(self._store.modify(key_of("pods", pod), change))
