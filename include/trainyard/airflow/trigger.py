"""Waits in the triggerer for the pods of a run to end, and ends the train step then, without a worker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from trainyard.airflow.app import current_app
from trainyard.airflow.failures import failure_text, success_text
from trainyard.airflow.guarding import stopped_by_watchdog
from trainyard.airflow.links import whole_log
from trainyard.airflow.notifying import announce_start
from trainyard.airflow.outcomes import FINAL, KEY
from trainyard.airflow.podwatch import PodWait, PodWatch
from trainyard.airflow.programlog import ProgramLog, show
from trainyard.airflow.threads import in_thread
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.errors import TrainyardError
from trainyard.workspace.stopping import as_stopped

# Seconds that the end of a log may take.
_END_SECONDS = 10.0


class TrainingPodTrigger(BaseTrigger):
    """Fire once, when the run's pods have ended, cannot start, or are gone; the event ends the task with its outcome.

    Where the cluster has room for some learners only, the event has all of them placed again after a while. Nothing
    else is left for a worker to do: it would need the pool slots again that a run which waits may have taken, or a
    smaller quota has not.

    Meanwhile it logs what the program prints, which Airflow shows with the log of the step. `wait` are the fields of
    a PodWait.
    """

    def __init__(self, **wait: Any) -> None:
        super().__init__()
        self.wait = PodWait(**wait)
        self.pods = PodWatch(self.wait, self.log)
        self._run = RunKey.parse(self.wait.run)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", asdict(self.wait)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from trainyard.airflow.checkpointcopy import copy_repeatedly

        program, over = self._program_log(), asyncio.Event()
        showing = asyncio.create_task(show(program, over, self.log))
        announcing = asyncio.create_task(announce_start(self._run, over))
        copying = asyncio.create_task(copy_repeatedly(self._run, self.log))
        try:
            outcome = await self._end_or_stop()
            if isinstance(outcome, Outcome):
                over.set()
                # A volume that hangs does not keep the run from its end.
                await asyncio.wait({showing, announcing}, timeout=_END_SECONDS)
                if showing.done() and (fault := showing.exception()):
                    self.log.warning("The program's log cannot be shown here: %r", fault)
        finally:
            showing.cancel()
            announcing.cancel()
            # Before the task ends: the next step stores the same files.
            copying.cancel()
            await asyncio.wait({copying})
        if isinstance(outcome, str):
            yield await self._taken_back(outcome)
            return
        outcome = self._as_stopped(outcome)
        self._log_end(outcome, await self._last_words(program, outcome))
        ends = TaskFailedEvent if outcome.code else TaskSuccessEvent
        # An API that was silent took no pod: the next try finds it.
        final = {FINAL: True} if self.wait.last and outcome.retried and outcome.code != "S200" else {}
        yield ends(xcoms={KEY: outcome.as_dict(), **final})

    async def _end_or_stop(self) -> Outcome | str:
        """Wait for the pods to end by themselves, or because a watchdog of the run stops them."""
        ending = asyncio.create_task(self.pods.until_ended())
        guarding = asyncio.create_task(stopped_by_watchdog(self._run, self.log))
        try:
            await asyncio.wait({ending, guarding}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done() and guarding.result():
                await self.pods.stop()
            return await ending
        finally:
            ending.cancel()
            guarding.cancel()

    async def on_kill(self) -> None:
        """Stop the pods when their run is canceled or its task marked failed or cleared; runs in the triggerer."""
        self.log.info("The run was canceled, or its step marked or cleared: what runs of it is stopped.")
        self._log_places()
        await self.pods.stop()

    def _as_stopped(self, outcome: Outcome) -> Outcome:
        """Return how the run ended, which the service may have ended early."""
        with suppress(TrainyardError):  # a triggerer without the service's settings has no workspace to ask
            return as_stopped(current_app().workspace.run(self._run), outcome) if self._run else outcome
        return outcome

    def _program_log(self) -> ProgramLog | None:
        """Return what reads the program's log; None for a trigger that an earlier version made."""
        if self._run is None:
            return None
        try:
            return ProgramLog(current_app().workspace.run(self._run), whole_log(self.wait.page, self.wait.results))
        except TrainyardError as error:  # a triggerer without the service's settings still waits for pods
            self.log.warning("The program's log cannot be shown here: %s", error)
            return None

    async def _last_words(self, program: ProgramLog | None, outcome: Outcome) -> list[str]:
        if program is None or not outcome.exit_code:
            return []
        with suppress(TimeoutError):
            return await asyncio.wait_for(in_thread(program.last_words, self.pods.cause), _END_SECONDS)
        return []

    def _log_end(self, outcome: Outcome, last_words: list[str]) -> None:
        if outcome.code:
            self.log.error(failure_text(outcome, last_words))
        else:
            self.log.info(success_text(outcome))
        self._log_places()

    def _log_places(self) -> None:
        if self.wait.page:
            self.log.info("Run: %s", self.wait.page)
            self.log.info("Results: %s", self.wait.results)

    async def _taken_back(self, missing: str) -> TriggerEvent:
        """Return the event that has the learners placed again, at another moment than whoever else waits for room."""
        seconds = random.uniform(0.2, 1) * self.wait.placement_seconds
        self.log.info("The cluster has no room for all learners, so that all were taken back: %s.", missing)
        self.log.info("They are placed again after %.0f seconds.", seconds)
        await asyncio.sleep(seconds)
        return TriggerEvent({"missing": missing, "attempt": int(self.wait.pod_name.rpartition("-")[2])})
