"""The node's agent: keeps the life of every pod that has the node, and takes deleted pods away."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable

from localkube.config import Config
from localkube.events import Events
from localkube.mounts import PATHS
from localkube.names import has_name, write_hosts
from localkube.objects import Key, Obj, is_deleted, is_finished, key_of
from localkube.podlife import PodLife
from localkube.podnetwork import PodNetwork
from localkube.runtime import Shims
from localkube.store import Store
from localkube.values import parse_time, seconds

# As under a real kubelet, a deleted pod shows its last phase for a moment; clients rely on seeing it.
_SHOWN_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Kubelet:
    """`on_freed` is called whenever a pod may have given GPUs back."""

    def __init__(self, store: Store, config: Config, events: Events, on_freed: Callable[[], None]) -> None:
        self._store = store
        self._config = config
        self._events = events
        self._on_freed = on_freed
        self._shims = Shims()
        self._network = PodNetwork(store, config)
        self._lives: dict[str, PodLife] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, pod: Obj) -> None:
        """Begin the life of a pod that was just given the node, or take it up again after a restart."""
        uid, key = pod["metadata"]["uid"], key_of("pods", pod)
        life = PodLife(key, self._store, self._shims, self._events, self._config, self._network)
        self._lives[uid] = life
        if is_deleted(pod):
            life.stop(parse_time(pod["metadata"]["deletionTimestamp"]) / 1e9 - time.time())
        self._keep(asyncio.create_task(self._live(key, uid, life)))

    def delete(self, key: Key, grace_seconds: int | None) -> Obj:
        """Delete a pod: at once if nothing of it runs, else after its end. Return it as it is now."""
        pod = self._store.get(key)
        life = self._lives.get(pod["metadata"]["uid"])
        if life is None:
            self._remove(key, pod["metadata"]["uid"])
            self._on_freed()
            return pod
        grace = pod["spec"]["terminationGracePeriodSeconds"] if grace_seconds is None else max(0, grace_seconds)
        if not is_deleted(pod) or grace < pod["metadata"]["deletionGracePeriodSeconds"]:
            pod = self._store.modify(key, lambda new: _mark_deleted(new, grace))
            life.stop(grace)
        return pod

    @property
    def names_pods(self) -> bool:
        """Whether pods may have names by which others find them."""
        return self._config.isolation != PATHS

    def tell_names(self, service: Obj) -> None:
        """Let pods know the names that a service gives, or gives no more."""
        metadata = service["metadata"]
        write_hosts(self._store, self._config, metadata["namespace"], metadata["name"])

    def recover(self) -> None:
        """Take up the pods that an earlier server left under way, and drop the files of pods that are gone."""
        pods = self._store.all("pods")
        for pod in pods:
            if pod["spec"].get("nodeName") and (not is_finished(pod) or is_deleted(pod)):
                self.start(pod)
        known = {pod["metadata"]["uid"] for pod in pods}
        for folder in self._config.pods.glob("*"):
            if folder.name not in known:
                self._discard(folder.name)

    async def close(self) -> None:
        """Stop looking after pods; they go on under their shims."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live(self, key: Key, uid: str, life: PodLife) -> None:
        try:
            await life.run()
        except Exception:  # noqa: BLE001 - one broken pod must not take the others along
            _log.exception("pod %s/%s failed", key.namespace, key.name)
            life.kill()
            self._fail(key, uid)
        self._on_freed()
        pod = self._store.get(key)
        if is_deleted(pod) and pod["metadata"]["deletionGracePeriodSeconds"]:
            await asyncio.sleep(_SHOWN_SECONDS)
        del self._lives[uid]
        if is_deleted(pod):
            self._remove(key, uid)

    def _fail(self, key: Key, uid: str) -> None:
        pod = self._store.find(key)
        if pod is not None and pod["metadata"]["uid"] == uid:
            fault = {"phase": "Failed", "reason": "LocalkubeError", "message": "localkube failed on this pod."}
            self._store.modify(key, lambda new: new["status"].update(fault))

    def _remove(self, key: Key, uid: str) -> None:
        pod = self._store.find(key)
        if pod is not None and pod["metadata"]["uid"] == uid:
            self._store.remove(key)
        self._discard(uid)
        if pod is not None and has_name(pod):
            self._forget_network(pod)

    def _forget_network(self, pod: Obj) -> None:
        """Take a pod's name from those that are left, and remove the network after the last."""
        write_hosts(self._store, self._config, pod["metadata"]["namespace"], pod["spec"]["subdomain"])
        self._keep(asyncio.create_task(self._network.drop_unused()))

    def _discard(self, uid: str) -> None:
        """Remove a pod's files, aside, because there may be many."""
        folder = self._config.pod(uid)
        for path in (folder.path, folder.memory):
            self._keep(asyncio.create_task(asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _mark_deleted(pod: Obj, grace: int) -> None:
    pod["metadata"]["deletionTimestamp"] = seconds(time.time() + grace)
    pod["metadata"]["deletionGracePeriodSeconds"] = grace
