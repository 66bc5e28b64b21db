"""The life of one pod on its node: its containers started in order, watched, ended, and the pod's end recorded."""

from __future__ import annotations

import asyncio
import signal
import time

from localkube import records, runtime
from localkube.config import Config
from localkube.containerspec import container_spec
from localkube.errors import NoSecretError, NotReadyError
from localkube.events import Events
from localkube.images import problem_of
from localkube.names import free_address, has_name, write_hosts
from localkube.objects import Key, Obj, is_finished
from localkube.podnetwork import PodNetwork
from localkube.podstatus import ContainerRecord, Waiting, container_record, final_phase, update_status
from localkube.secrets import secret_environment
from localkube.store import Store
from localkube.values import parse_time, seconds
from localkube.volumes import make_volumes

_BACK_OFF_SECONDS = 1.0
_RETRY_SECONDS = 10.0
_SHUT_DOWN = "Terminated"
_LATE = "DeadlineExceeded"
_MESSAGES = {
    _LATE: "Pod was active on the node longer than the specified deadline",
    _SHUT_DOWN: "Pod was terminated in response to imminent node shutdown.",
}


class PodLife:
    """Runs one pod to its end; made again for each pod that a restarted server finds under way."""

    def __init__(
        self, key: Key, store: Store, shims: runtime.Shims, events: Events, config: Config, network: PodNetwork
    ) -> None:
        self._key = key
        self._store = store
        self._shims = shims
        self._network = network
        self._events = events
        pod = store.get(key)
        self._folder = config.pod(pod["metadata"]["uid"])
        self._config = config
        self._containers: list[Obj] = pod["spec"]["containers"]
        self._waiting: dict[str, Waiting] = {}
        self._ends: dict[str, asyncio.Task[None]] = {}
        self._launching: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._kill_at = float("inf")
        self._reason = pod["status"].get("reason", "") or self._interruption()

    def _interruption(self) -> str:
        """Return the reason that a kubelet gives after its node was shut down beneath the pod; empty if it was not."""
        folders = (self._folder.container(each["name"]) for each in self._containers)
        return _SHUT_DOWN if any(records.read(str(folder), records.SHUTDOWN) for folder in folders) else ""

    async def run(self) -> None:
        """Run the pod until all its processes have ended and its status says so."""
        self._begin()
        deadline = asyncio.create_task(self._enforce_deadline())
        stop = asyncio.create_task(self._stop.wait())
        work = asyncio.create_task(self._work())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            if self._launching:
                await self._launching
            # Nothing runs any more at the end of the work, unless it failed; at a stop all may.
            await self._end_containers()
            if not self._stop.is_set():
                work.result()
        finally:
            for task in (deadline, stop, work, *self._ends.values()):
                task.cancel()
        # A kubelet reports a container's end up to a second before it reports the pod's.
        await asyncio.sleep(self._config.phase_lag)
        self._finish()

    def stop(self, grace_seconds: float, reason: str = "") -> None:
        """Ask for the pod's end: SIGTERM now, SIGKILL after the grace. A later call may only shorten the grace."""
        self._kill_at = min(self._kill_at, time.time() + grace_seconds)
        self._reason = self._reason or reason
        self._stop.set()
        self._hurry.set()

    def kill(self) -> None:
        """Send SIGKILL to all that runs, when nothing better can be done any more."""
        for container in self._containers:
            self._send(container, signal.SIGKILL)

    # The start

    def _begin(self) -> None:
        def change(pod: Obj) -> None:
            pod["status"].setdefault("startTime", seconds())
            pod["status"] |= {"hostIP": "127.0.0.1", "hostIPs": [{"ip": "127.0.0.1"}]}
            address = pod["status"].get("podIP") or (
                free_address(self._store, self._config) if has_name(pod) else "127.0.0.1"
            )
            pod["status"] |= {"podIP": address, "podIPs": [{"ip": address}]}
            update_status(pod, self._records())

        pod = self._store.modify(self._key, change)
        if has_name(pod):
            write_hosts(self._store, self._config, self._key.namespace, pod["spec"]["subdomain"])
        for container in self._containers:
            if runtime.is_begun(self._folder.container(container["name"])):
                self._follow(container)

    async def _work(self) -> None:
        """Start the containers; return when all have ended."""
        if self._stop.is_set():
            return
        for container in self._containers:
            await self._start(container)
        self._sync("Running")
        await asyncio.gather(*(asyncio.shield(end) for end in self._ends.values()))

    async def _start(self, container: Obj) -> None:
        """Start a container unless it was begun before, waiting for what it needs."""
        folder = self._folder.container(container["name"])
        if not runtime.is_begun(folder):
            await self._image_arrived(container)
            spec = await self._prepared(container)
            # Not to be interrupted between the start of its shim and the record of it.
            self._launching = asyncio.create_task(self._launch(container, spec))
            await asyncio.shield(self._launching)

    async def _launch(self, container: Obj, spec: Obj) -> None:
        folder = self._folder.container(container["name"])
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._shims.start(folder, spec)
        self._follow(container)
        record = self._record(container)
        if record.exited and not record.started:
            self._warn("Failed", f"Error: {record.exited.get('message')}", container)
        else:
            self._event("Created", f"Created container: {container['name']}", container)
            self._event("Started", f"Started container {container['name']}", container)
        self._sync()

    def _follow(self, container: Obj) -> None:
        if container["name"] not in self._ends:
            self._ends[container["name"]] = asyncio.create_task(self._ended(container))

    async def _ended(self, container: Obj) -> None:
        await runtime.ended(self._folder.container(container["name"]))
        self._sync()

    async def _image_arrived(self, container: Obj) -> None:
        """Return when the container's image is there; never, where it does not exist."""
        image = container["image"]
        problem = problem_of(image, container["imagePullPolicy"], self._config.missing_images)
        if problem is None:
            self._event("Pulled", f'Container image "{image}" already present on machine', container)
            return
        if problem.reason == "ErrImagePull":
            self._event("Pulling", f'Pulling image "{image}"', container)
        self._warn("Failed", problem.message, container)
        self._wait_for(container, Waiting(problem.reason, problem.message))
        await asyncio.sleep(_BACK_OFF_SECONDS)
        if problem.later_reason != problem.reason:
            self._event("BackOff", problem.later_message, container)
            self._wait_for(container, Waiting(problem.later_reason, problem.later_message))
        await asyncio.Event().wait()

    async def _prepared(self, container: Obj) -> Obj:
        """Return the container's spec once its volumes are there."""
        while True:
            pod = self._store.get(self._key)
            try:
                secrets = secret_environment(container, self._key.namespace, self._store)
                volumes = await asyncio.to_thread(make_volumes, self._config, pod)
                if has_name(pod):
                    await self._network.provide()
                return container_spec(pod, container, volumes, self._config, secrets)
            except NoSecretError as error:
                self._warn("Failed", f"Error: {error}", container)
                self._wait_for(container, Waiting("CreateContainerConfigError", str(error)))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except NotReadyError as error:
                message = str(error)
            except OSError as error:
                message = f"a volume cannot be made: {error}"
            self._warn("FailedMount", message, container)
            self._wait_for(container, Waiting(message=message))
            await asyncio.sleep(_RETRY_SECONDS)

    # The end

    async def _enforce_deadline(self) -> None:
        pod = self._store.get(self._key)
        allowed = pod["spec"].get("activeDeadlineSeconds")
        if allowed is None:
            return
        await asyncio.sleep(parse_time(pod["status"]["startTime"]) / 1e9 + allowed - time.time())
        self._event(_LATE, _MESSAGES[_LATE])
        self.stop(pod["spec"]["terminationGracePeriodSeconds"], _LATE)

    async def _end_containers(self) -> None:
        """End what still runs: SIGTERM, and SIGKILL when the grace is over."""
        if not self._stop.is_set():
            self._kill_at = time.time() + self._store.get(self._key)["spec"]["terminationGracePeriodSeconds"]
        for container in self._running():
            self._event("Killing", f"Stopping container {container['name']}", container)
            self._send(container, signal.SIGTERM)
        while self._running() and (left := self._kill_at - time.time()) > 0:
            self._hurry.clear()
            await self._any_end(left)
        for container in self._running():
            self._send(container, signal.SIGKILL)
        while self._running():
            await self._any_end(None)

    async def _any_end(self, seconds: float | None) -> None:
        """Wait until a container ended, a shorter grace was asked for, or the time is over."""
        ends = {self._ends[container["name"]] for container in self._running()}
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({*ends, hurry}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()

    def _running(self) -> list[Obj]:
        """Return the containers that were begun and of whose end the status does not speak yet."""
        return [each for each in self._containers if each["name"] in self._ends and not self._ends[each["name"]].done()]

    def _send(self, container: Obj, number: int) -> None:
        runtime.send(self._folder.container(container["name"]), number)

    def _finish(self) -> None:
        pod = self._store.find(self._key)
        if pod is None or is_finished(pod):
            return
        phase = "Failed" if self._reason else final_phase(pod, self._records())
        self._sync(phase)

    # The status

    def _records(self) -> dict[str, ContainerRecord]:
        return {each["name"]: self._record(each) for each in self._containers if self._is_known(each)}

    def _is_known(self, container: Obj) -> bool:
        return container["name"] in self._waiting or runtime.is_begun(self._folder.container(container["name"]))

    def _record(self, container: Obj) -> ContainerRecord:
        waiting = self._waiting.get(container["name"], Waiting())
        return container_record(self._folder.container(container["name"]), container, waiting)

    def _wait_for(self, container: Obj, waiting: Waiting) -> None:
        self._waiting[container["name"]] = waiting
        self._sync()

    def _sync(self, phase: str = "") -> None:
        """Bring the pod's status in line with its containers; a pod that was deleted meanwhile has none."""
        if self._store.find(self._key) is None:
            return

        def change(pod: Obj) -> None:
            update_status(pod, self._records())
            if phase:
                pod["status"]["phase"] = phase
            if self._reason:
                pod["status"] |= {"reason": self._reason, "message": _MESSAGES.get(self._reason, "")}

        self._store.modify(self._key, change)

    def _event(self, reason: str, message: str, container: Obj | None = None) -> None:
        if (pod := self._store.find(self._key)) is not None:
            self._events.normal(pod, reason, message, container["name"] if container else "")

    def _warn(self, reason: str, message: str, container: Obj | None = None) -> None:
        if (pod := self._store.find(self._key)) is not None:
            self._events.warning(pod, reason, message, container["name"] if container else "")
