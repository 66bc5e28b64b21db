"""Waits for the pods of one attempt of a run to end, in the triggerer's event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from trainyard.cluster.diagnosis import diagnose, ended, image_trouble, never_begins
from trainyard.cluster.diagnosis.learners import Patience, Verdict, judge
from trainyard.cluster.labels import attempt_selector
from trainyard.cluster.podclient import refusal_of
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


@dataclass(frozen=True)
class PodWait:
    """What the trigger of a train step waits for, which Airflow's database keeps between processes.

    `gpus` and `memory` (in bytes) are a pod's. Several learners have a pod each, whose names are `pod_name` and a
    number; the good end of the `lead` ends the others after a while. After the `last` attempt a pod that was lost is
    not replaced; `page` and `results` are where more of the run is to be seen.
    """

    pod_name: str
    namespace: str
    conn_id: str
    poll_seconds: float
    outage_seconds: float
    image_seconds: float
    grace_seconds: int
    gpus: int
    memory: int
    last: bool = False
    run: str = ""
    page: str = ""
    results: str = ""
    learners: int = 1
    placement_seconds: float = 60.0
    first_learner_seconds: float = 60.0
    lead: int = 1

    @property
    def pod_names(self) -> list[str]:
        if self.learners == 1:
            return [self.pod_name]
        return [f"{self.pod_name}-{number}" for number in range(self.learners)]


class PodWatch:
    """The pods of one attempt until it is clear how the run ended.

    A pod is watched, so its end is seen at once, and read again every `poll_seconds` in case a watch went deaf. An
    API that does not answer is no news of the pod: only `outage_seconds` of silence end the wait. One learner that
    fails ends the others. Where the cluster has room for some of them only, all are taken back.
    """

    def __init__(self, wait: PodWait, log: Logger) -> None:
        self._wait = wait
        self._log = log
        self.api: Callable[[], AbstractAsyncContextManager[Any]] = partial(_CoreApi, wait.conn_id)
        # The learner that decided how the run ended.
        self.cause = 1
        # Those that were ended here after another one, by their numbers.
        self._stopped: set[int] = set()
        self._image_trouble_since: dict[str, float] = {}

    async def stop(self) -> None:
        """Delete the pods; their programs have the grace period to save what they have."""
        async with self.api() as api:
            await self._delete(api, self._wait.pod_names, self._wait.grace_seconds)

    async def until_ended(self) -> Outcome | str:
        """Return the outcome, or what is missing where all learners were taken back."""
        from aiohttp import ClientError
        from kubernetes_asyncio.client import ApiException

        heard, refused = time.monotonic(), ""
        while time.monotonic() - heard < self._wait.outage_seconds:
            try:
                async with self.api() as api:
                    while True:
                        if outcome := await self.look(api):
                            return outcome
                        heard = time.monotonic()
                        await self.until_changed(api)
            except (ApiException, ClientError, OSError, TimeoutError) as error:
                status = getattr(error, "status", None) or 0
                refused = refusal_of(error) if 400 <= status < 500 else ""
                self._log.warning("Pod %s cannot be read: %s", self._wait.pod_name, refused or error)
                await asyncio.sleep(min(self._wait.poll_seconds, 5))
        return _silence(f"for {self._wait.outage_seconds:.0f} seconds", refused)

    async def look(self, api: Any) -> Outcome | str | None:
        """Read the pods; return how they ended, or what they lack, if there is nothing more to wait for."""
        pods = await self._read(api)
        verdict = self._judged(pods)
        if verdict.missing:
            await self._delete(api, self._wait.pod_names, 0)
            return verdict.missing
        if verdict.outcome is None:
            return await self._without_image(api, pods)
        self.cause = verdict.learner
        outcome: Outcome | None = verdict.outcome
        if verdict.going:
            self._log.info("Learner %s has ended; the others are stopped.", verdict.learner)
            outcome = await self._ended_all(api, verdict, pods)
        named = zip(self._wait.pod_names, pods, strict=True)
        await self._delete(api, [name for name, pod in named if pod and never_begins(pod)], 0)
        return outcome

    async def _read(self, api: Any) -> list[dict[str, Any] | None]:
        """Return the pods of all learners, None for one that is gone."""
        from kubernetes_asyncio.client import ApiException

        async def read(name: str) -> dict[str, Any] | None:
            try:
                found = await api.read_namespaced_pod(name, self._wait.namespace)
            except ApiException as error:
                if error.status == 404:
                    return None
                raise
            data: dict[str, Any] = api.api_client.sanitize_for_serialization(found)
            return data

        return list(await asyncio.gather(*map(read, self._wait.pod_names)))

    def _judged(self, pods: Sequence[dict[str, Any] | None]) -> Verdict:
        patience = Patience(self._wait.placement_seconds, self._wait.first_learner_seconds, self._wait.lead)
        return judge(pods, self._wait.gpus, self._wait.memory, patience, time.time(), self._stopped)

    async def _ended_all(self, api: Any, verdict: Verdict, pods: Sequence[dict[str, Any] | None]) -> Outcome | None:
        """End the learners that go on after one that decides for all; return how the run ended when none does."""
        while verdict.going:
            self._stopped |= set(verdict.going)
            # Whoever was asked in vain, because the API was away, is asked again.
            unasked = [number for number in verdict.going if not _is_leaving(pods[number - 1])]
            names = [self._wait.pod_names[number - 1] for number in unasked]
            await self._delete(api, names, self._wait.grace_seconds)
            await self.until_changed(api)
            pods = await self._read(api)
            verdict = self._judged(pods)
        self.cause = verdict.learner
        return verdict.outcome

    async def _without_image(self, api: Any, pods: Sequence[dict[str, Any] | None]) -> Outcome | None:
        """Give up a run of which a pod waits for an image that does not come; None while there is time for that.

        The next attempt gets pods, and perhaps nodes, of its own.
        """
        late = [number for number, pod in enumerate(pods, 1) if pod and self._lacks_image(pod)]
        if not late:
            return None
        await self._delete(api, self._wait.pod_names, 0)
        outcome = diagnose(pods[late[0] - 1], self._wait.gpus, self._wait.memory, now=time.time())
        outcome = outcome or Outcome("S101", "the training pod did not start", "Ask whoever keeps the cluster.")
        if self._wait.learners == 1:
            return outcome
        return replace(outcome, message=f"learner {late[0]} of {self._wait.learners}: {outcome.message}")

    async def _delete(self, api: Any, names: Sequence[str], grace_seconds: int) -> None:
        from kubernetes_asyncio.client import ApiException

        for name in names:
            with suppress(ApiException):
                await api.delete_namespaced_pod(name, self._wait.namespace, grace_period_seconds=grace_seconds)

    async def until_changed(self, api: Any) -> None:
        """Return at the next change of the pods that matters, or after the poll interval."""
        from kubernetes_asyncio.watch import Watch

        async with Watch() as watch:
            changes = watch.stream(
                api.list_namespaced_pod,
                self._wait.namespace,
                **self._selector,
                timeout_seconds=max(1, int(self._wait.poll_seconds)),
                _request_timeout=self._wait.poll_seconds + 10,
            )
            async for change in changes:
                if change["type"] == "DELETED" or self.is_over(change["raw_object"]):
                    return

    @property
    def _selector(self) -> dict[str, str]:
        """What a watch of the pods asks for: the one by its name, those of several learners by their labels."""
        run = RunKey.parse(self._wait.run)
        if self._wait.learners == 1 or run is None:
            return {"field_selector": f"metadata.name={self._wait.pod_name}"}
        return {"label_selector": attempt_selector(run, self._wait.pod_name.rpartition("-")[2])}

    def is_over(self, pod: dict[str, Any]) -> bool:
        return ended(pod, now=time.time()) or self._lacks_image(pod)

    def _lacks_image(self, pod: dict[str, Any]) -> bool:
        """Say whether a pod has waited for its image for longer than it may."""
        name = pod["metadata"]["name"]
        if not image_trouble(pod):
            self._image_trouble_since.pop(name, None)
            return False
        if name not in self._image_trouble_since:
            self._image_trouble_since[name] = time.monotonic()
            return False
        return time.monotonic() - self._image_trouble_since[name] > self._wait.image_seconds


def _is_leaving(pod: dict[str, Any] | None) -> bool:
    return pod is None or "deletionTimestamp" in pod["metadata"]


def _silence(seconds: str, refused: str) -> Outcome:
    """Return the outcome of a pod of which the API said nothing for so long, because it `refused` to, if it did."""
    if refused:
        message = f"the Kubernetes API refused {seconds} to show the training pod: {refused}"
        return Outcome("S200", message, "Give the service's user of the cluster the rights that it lacks.")
    message = f"the Kubernetes API did not answer {seconds}"
    return Outcome("S200", message, "Those who run the cluster have to look at its API.")


class _CoreApi:
    """A Kubernetes API client for as long as it is needed: one TLS handshake, not one a call."""

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id

    async def __aenter__(self) -> Any:
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
        from kubernetes_asyncio.client import CoreV1Api

        self._client = AsyncKubernetesHook(conn_id=self._conn_id).get_conn()
        return CoreV1Api(await self._client.__aenter__())

    async def __aexit__(self, *failure: Any) -> None:
        await self._client.__aexit__(*failure)
