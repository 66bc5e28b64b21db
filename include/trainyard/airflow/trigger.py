"""Waits in the triggerer for the pods of a run to end, and ends the train step then, without a worker."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from trainyard.airflow.failures import failure_text, success_text
from trainyard.airflow.outcomes import FINAL, KEY
from trainyard.airflow.programlog import LOOK_SECONDS, ProgramLog
from trainyard.domain.names import RunKey
from trainyard.domain.notification import Event
from trainyard.domain.outcome import Outcome

if TYPE_CHECKING:
    from trainyard.cluster.diagnosis.learners import Verdict

T = TypeVar("T")
# Lines that are logged before other triggers have their turn, and seconds that the end of a log may take.
_LINES_AT_ONCE = 50
_END_SECONDS = 10.0
# Between two looks of the watchdogs.
WATCH_SECONDS = 15.0


class TrainingPodTrigger(BaseTrigger):
    """Fire once, when the run's pods have ended, cannot start, or are gone; the event ends the task with its outcome.

    Several learners have a pod each, whose names are `pod_name` and a number. One that fails ends the others, and so
    does, after a while, the end of the one that is their `lead`. Where the
    cluster has room for some of them only, all are taken back, and the event has them placed again after a while.

    A pod is watched, so its end is seen at once, and read again every `poll_seconds` in case a watch went deaf. An
    API that does not answer is no news of the pod: only `outage_seconds` of silence end the wait. Nothing is left for
    a worker to do: it would need the pool slots again that a run which waits may have taken, or a smaller quota has
    not. `gpus` and `memory` (in bytes) are the pod's; after the `last` attempt a pod that was lost is not replaced.

    Meanwhile it logs what the program of `run` prints, which Airflow shows with the log of the step. `page` and
    `results` are where more is to be seen.
    """

    def __init__(
        self,
        pod_name: str,
        namespace: str,
        conn_id: str,
        poll_seconds: float,
        outage_seconds: float,
        image_seconds: float,
        grace_seconds: int,
        gpus: int,
        memory: int,
        last: bool = False,
        run: str = "",
        page: str = "",
        results: str = "",
        learners: int = 1,
        placement_seconds: float = 60.0,
        first_learner_seconds: float = 60.0,
        lead: int = 1,
    ) -> None:
        super().__init__()
        self.pod_name = pod_name
        self.namespace = namespace
        self.conn_id = conn_id
        self.poll_seconds = poll_seconds
        self.outage_seconds = outage_seconds
        self.image_seconds = image_seconds
        self.grace_seconds = grace_seconds
        self.gpus = gpus
        self.memory = memory
        self.last = last
        self.of_run = run
        self.page = page
        self.results = results
        self.learners = learners
        self.placement_seconds = placement_seconds
        self.first_learner_seconds = first_learner_seconds
        self.lead = lead
        self._cause = 1
        self._image_trouble_since: dict[str, float] = {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "pod_name": self.pod_name,
                "namespace": self.namespace,
                "conn_id": self.conn_id,
                "poll_seconds": self.poll_seconds,
                "outage_seconds": self.outage_seconds,
                "image_seconds": self.image_seconds,
                "grace_seconds": self.grace_seconds,
                "gpus": self.gpus,
                "memory": self.memory,
                "last": self.last,
                "run": self.of_run,
                "page": self.page,
                "results": self.results,
                "learners": self.learners,
                "placement_seconds": self.placement_seconds,
                "first_learner_seconds": self.first_learner_seconds,
                "lead": self.lead,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        program, over = self._program_log(), asyncio.Event()
        showing, copying = asyncio.create_task(self._show(program, over)), asyncio.create_task(self._copy())
        try:
            outcome = await self._end_or_stop()
            if isinstance(outcome, Outcome):
                over.set()
                # A volume that hangs does not keep the run from its end.
                await asyncio.wait({showing}, timeout=_END_SECONDS)
                if showing.done() and (fault := showing.exception()):
                    self.log.warning("The program's log cannot be shown here: %r", fault)
        finally:
            showing.cancel()
            # Before the task ends: the next step stores the same files.
            copying.cancel()
            await asyncio.wait({copying})
        if isinstance(outcome, str):
            yield await self._taken_back(outcome)
            return
        outcome = self._as_told(outcome)
        self._log_end(outcome, await self._last_words(program, outcome))
        ends = TaskFailedEvent if outcome.code else TaskSuccessEvent
        # An API that was silent took no pod: the next try finds it.
        final = {FINAL: True} if self.last and outcome.retried and outcome.code != "S200" else {}
        yield ends(xcoms={KEY: outcome.as_dict(), **final})

    async def _copy(self) -> None:
        """Copy the newest complete checkpoint to the bucket from time to time, where the manifest asks for it."""
        from trainyard.airflow.app import current_app
        from trainyard.airflow.checkpointcopy import copy_in_process
        from trainyard.errors import TrainyardError

        run, every = RunKey.parse(self.of_run), 0.0
        with suppress(TrainyardError):  # a triggerer without the service's settings still waits for pods
            training = await _aside(current_app().catalogue.get, run.training_id) if run else None
            every = training.spec.checkpoint.every_seconds if training else 0.0
        while run is not None and every:
            await asyncio.sleep(every)
            try:
                if words := await copy_in_process(run):
                    self.log.info(words)
            except Exception as error:  # noqa: BLE001 - the run goes on, and the next copy may work
                self.log.warning("No checkpoint is copied: %s", type(error).__name__)

    async def _end_or_stop(self) -> Outcome | str:
        """Wait for the pod to end by itself, or because a watchdog of the run stops it."""
        ending, guarding = asyncio.create_task(self._end()), asyncio.create_task(self._guard())
        try:
            await asyncio.wait({ending, guarding}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done() and guarding.result():
                async with self._api() as api:
                    await self._stop(api, self._names, self.grace_seconds)
            return await ending
        finally:
            ending.cancel()
            guarding.cancel()

    async def _guard(self) -> bool:
        """Tell of alarms until one stops the run; say whether one does, which is no where nothing is watched."""
        from trainyard.airflow.guarding import Guard

        trouble = ""
        try:
            guard = await _aside(Guard.of_run, RunKey.parse(self.of_run))
        except Exception as error:  # noqa: BLE001 - a triggerer without the service's settings still waits for pods
            self.log.warning("The run cannot be watched: %s", type(error).__name__)
            return False
        while guard is not None:
            try:
                if reason := await _aside(guard.look):
                    self.log.error("A watchdog stops the run: %s", reason)
                    return True
            except Exception as error:  # noqa: BLE001 - a watchdog that fails leaves the run alone
                if str(error) != trouble:
                    self.log.warning("The run cannot be watched: %s", type(error).__name__)
                trouble = str(error)
            await asyncio.sleep(WATCH_SECONDS)
        return False

    async def on_kill(self) -> None:
        """Stop the pods when their run is canceled or its task marked failed or cleared; runs in the triggerer."""
        self.log.info("The run was canceled, or its step marked or cleared: what runs of it is stopped.")
        self._log_places()
        async with self._api() as api:
            await self._stop(api, self._names, self.grace_seconds)

    def _as_told(self, outcome: Outcome) -> Outcome:
        """Return how the run ended, which the service may have ended early."""
        from trainyard.airflow.app import current_app
        from trainyard.errors import TrainyardError
        from trainyard.workspace.stopping import as_stopped

        run = RunKey.parse(self.of_run)
        with suppress(TrainyardError):  # a triggerer without the service's settings knows of no such thing
            return as_stopped(current_app().workspace.run(run), outcome) if run else outcome
        return outcome

    def _program_log(self) -> ProgramLog | None:
        """Return what reads the program's log; None for a trigger that an earlier version made."""
        from trainyard.airflow.app import current_app
        from trainyard.airflow.links import whole_log
        from trainyard.errors import TrainyardError

        run = RunKey.parse(self.of_run)
        try:
            return ProgramLog(current_app().workspace.run(run), whole_log(self.page, self.results)) if run else None
        except TrainyardError as error:  # a triggerer without the service's settings still waits for pods
            self.log.warning("The program's log cannot be shown here: %s", error)
            return None

    async def _show(self, program: ProgramLog | None, over: asyncio.Event) -> None:
        """Log what the program prints until it is `over`, then the end of it."""
        trouble, announced = "", False
        while program:
            ended = over.is_set()
            announced = announced or await _aside(self._announce_start)
            try:
                lines = await _aside(program.look, ended)
                for number, line in enumerate(lines, 1):
                    self.log.info(line)
                    if number % _LINES_AT_ONCE == 0:
                        await asyncio.sleep(0)
                await _aside(program.keep)
            except OSError as error:
                if str(error) != trouble:
                    self.log.warning("The program's log cannot be shown here: %s", error.strerror)
                trouble = str(error)
            if ended:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), LOOK_SECONDS)

    def _announce_start(self) -> bool:
        """Notify whoever wants it once the program has started; say whether it has."""
        from trainyard.airflow.app import current_app
        from trainyard.airflow.notifying import tell_of

        app, run = current_app(), RunKey.parse(self.of_run)
        if run is None or not app.workspace.run(run).has_started:
            return run is None
        tell_of(app, run, Event.STARTED)
        return True

    async def _last_words(self, program: ProgramLog | None, outcome: Outcome) -> list[str]:
        if program is None or not outcome.exit_code:
            return []
        with suppress(TimeoutError):
            return await asyncio.wait_for(_aside(program.last_words, self._cause), _END_SECONDS)
        return []

    def _log_end(self, outcome: Outcome, last_words: list[str]) -> None:
        if outcome.code:
            self.log.error(failure_text(outcome, last_words))
        else:
            self.log.info(success_text(outcome))
        self._log_places()

    def _log_places(self) -> None:
        if self.page:
            self.log.info("Run: %s", self.page)
            self.log.info("Results: %s", self.results)

    @property
    def _names(self) -> list[str]:
        if self.learners == 1:
            return [self.pod_name]
        return [f"{self.pod_name}-{number}" for number in range(self.learners)]

    async def _taken_back(self, missing: str) -> TriggerEvent:
        """Return the event that has the learners placed again, at another moment than whoever else waits for room."""
        seconds = random.uniform(0.2, 1) * self.placement_seconds
        self.log.info("The cluster has no room for all learners, so that all were taken back: %s.", missing)
        self.log.info("They are placed again after %.0f seconds.", seconds)
        await asyncio.sleep(seconds)
        return TriggerEvent({"missing": missing, "attempt": int(self.pod_name.rpartition("-")[2])})

    async def _end(self) -> Outcome | str:
        """Return the outcome, or what is missing where all learners were taken back."""
        from aiohttp import ClientError
        from kubernetes_asyncio.client import ApiException

        from trainyard.cluster.podclient import refusal_of

        heard, refused = time.monotonic(), ""
        while time.monotonic() - heard < self.outage_seconds:
            try:
                async with self._api() as api:
                    while True:
                        if outcome := await self._look(api):
                            return outcome
                        heard = time.monotonic()
                        await self._watch(api)
            except (ApiException, ClientError, OSError, TimeoutError) as error:
                status = getattr(error, "status", None) or 0
                refused = refusal_of(error) if 400 <= status < 500 else ""
                self.log.warning("The Kubernetes API says nothing of pod %s: %s", self.pod_name, refused or error)
                await asyncio.sleep(min(self.poll_seconds, 5))
        return _silence(f"for {self.outage_seconds:.0f} seconds", refused)

    def _api(self) -> Any:
        return _CoreApi(self.conn_id)

    async def _look(self, api: Any) -> Outcome | str | None:
        """Read the pods; return how they ended, or what they lack, if there is nothing more to wait for."""
        pods = await self._read(api)
        verdict = self._judged(pods)
        if verdict.missing:
            await self._stop(api, self._names, 0)
            return verdict.missing
        if verdict.outcome is None:
            return await self._without_image(api, pods)
        self._cause = verdict.learner
        if verdict.going:
            self.log.info("Learner %s has ended; the others are stopped.", verdict.learner)
            return await self._ended_all(api, verdict)
        return verdict.outcome

    async def _read(self, api: Any) -> list[dict[str, Any] | None]:
        """Return the pods of all learners, None for one that is gone."""
        from kubernetes_asyncio.client import ApiException

        async def read(name: str) -> dict[str, Any] | None:
            try:
                found = await api.read_namespaced_pod(name, self.namespace)
            except ApiException as error:
                if error.status == 404:
                    return None
                raise
            data: dict[str, Any] = api.api_client.sanitize_for_serialization(found)
            return data

        return list(await asyncio.gather(*map(read, self._names)))

    def _judged(self, pods: Sequence[dict[str, Any] | None]) -> Verdict:
        from trainyard.cluster.diagnosis.learners import Patience, judge

        patience = Patience(self.placement_seconds, self.first_learner_seconds, self.lead)
        return judge(pods, self.gpus, self.memory, patience, time.time())

    async def _ended_all(self, api: Any, verdict: Verdict) -> Outcome | None:
        """End the learners that go on after one that decides for all; return how the run ended when none does."""
        names = [self._names[number - 1] for number in verdict.going]
        await self._stop(api, names, self.grace_seconds)
        while verdict.going:
            await self._watch(api)
            verdict = self._judged(await self._read(api))
        self._cause = verdict.learner
        return verdict.outcome

    async def _without_image(self, api: Any, pods: Sequence[dict[str, Any] | None]) -> Outcome | None:
        """Give up a run of which a pod waits for an image that does not come; None while there is time for that.

        The next attempt gets pods, and perhaps nodes, of its own.
        """
        from trainyard.cluster.diagnosis import diagnose

        late = [number for number, pod in enumerate(pods, 1) if pod and self._lacks_image(pod)]
        if not late:
            return None
        await self._stop(api, self._names, 0)
        outcome = diagnose(pods[late[0] - 1], self.gpus, self.memory, now=time.time())
        outcome = outcome or Outcome("S101", "the training pod did not start", "Ask whoever keeps the cluster.")
        named = f"learner {late[0]} of {self.learners}: {outcome.message}" if self.learners > 1 else outcome.message
        return replace(outcome, message=named)

    async def _stop(self, api: Any, names: Sequence[str], grace_seconds: int) -> None:
        from kubernetes_asyncio.client import ApiException

        for name in names:
            with suppress(ApiException):
                await api.delete_namespaced_pod(name, self.namespace, grace_period_seconds=grace_seconds)

    async def _watch(self, api: Any) -> None:
        """Return at the next change of the pods that matters, or after the poll interval."""
        from kubernetes_asyncio.watch import Watch

        async with Watch() as watch:
            changes = watch.stream(
                api.list_namespaced_pod,
                self.namespace,
                **self._selector,
                timeout_seconds=max(1, int(self.poll_seconds)),
                _request_timeout=self.poll_seconds + 10,
            )
            async for change in changes:
                if change["type"] == "DELETED" or self._is_over(change["raw_object"]):
                    return

    @property
    def _selector(self) -> dict[str, str]:
        """What a watch of the pods asks for: the one by its name, those of several learners by their labels."""
        from trainyard.cluster.labels import attempt_selector

        run = RunKey.parse(self.of_run)
        if self.learners == 1 or run is None:
            return {"field_selector": f"metadata.name={self.pod_name}"}
        return {"label_selector": attempt_selector(run, self.pod_name.rpartition("-")[2])}

    def _is_over(self, pod: dict[str, Any]) -> bool:
        from trainyard.cluster.diagnosis import ended

        return ended(pod, now=time.time()) or self._lacks_image(pod)

    def _lacks_image(self, pod: dict[str, Any]) -> bool:
        """Say whether a pod has waited for its image for longer than it may."""
        from trainyard.cluster.diagnosis import image_trouble

        name = pod["metadata"]["name"]
        if not image_trouble(pod):
            self._image_trouble_since.pop(name, None)
            return False
        if name not in self._image_trouble_since:
            self._image_trouble_since[name] = time.monotonic()
            return False
        return time.monotonic() - self._image_trouble_since[name] > self.image_seconds


def _aside(read: Callable[..., T], *given: Any) -> Awaitable[T]:
    """Read a file without holding up the other triggers."""
    return asyncio.get_running_loop().run_in_executor(_readers(), read, *given)


@lru_cache(maxsize=1)
def _readers() -> ThreadPoolExecutor:
    """Return threads of our own: on a volume that hangs they wait for ever, and the triggerer needs its own."""
    return ThreadPoolExecutor(4, thread_name_prefix="program-log")


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
