"""Runs in MLflow, by its REST interface 2.0: made once, found again by their model id, completed by every try."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from trainyard.tracking.record import MODEL_ID, TRAINING_ID, Record
from trainyard.tracking.server import EXISTS, NOT_FOUND, Server, TrackingError, call

# Before the tries after the first; a server that is started again is back by then.
PAUSES = (1.0, 4.0)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Place:
    """The ids that a run has in MLflow."""

    experiment_id: str
    run_id: str


def send(server: Server, record: Record, seconds: float, pauses: Sequence[float] = PAUSES) -> Place:
    """Have a run in MLflow as the record says, however much of it is there already; all tries take so long at most.

    Raise TrackingError.
    """
    with asyncio.Runner(loop_factory=_loop) as runner:
        return runner.run(_send(server, record, seconds, pauses))


def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_Unawaited(thread_name_prefix="resolve"))
    return loop


class _Unawaited(ThreadPoolExecutor):
    """Threads that the end of a loop does not wait for: a resolver that is silent takes minutes to say so."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - as the base has it
        super().shutdown(wait=False, cancel_futures=cancel_futures)


async def _send(server: Server, record: Record, seconds: float, pauses: Sequence[float]) -> Place:
    failure = TrackingError(f"it has not taken the run within {seconds:g} seconds", again=True)
    try:
        # All of it: what comes a byte at a time is never silent.
        async with asyncio.timeout(seconds), server.client() as client:
            runs = _Runs(client, server.url)
            for pause in (*pauses, None):
                try:
                    return await runs.complete(record)
                except TrackingError as error:
                    if not error.again or pause is None:
                        raise
                    failure = error
                    await asyncio.sleep(pause)
    except TimeoutError:
        pass
    raise failure


@dataclass(frozen=True)
class _Runs:
    client: httpx.AsyncClient
    url: str

    async def complete(self, record: Record) -> Place:
        experiment = await self._experiment(record.experiment)
        run = await self._found(experiment, record) or await self._created(experiment, record)
        for batch in record.batches():
            await self._post("runs/log-batch", run_id=run, **batch)
        await self._post("runs/update", run_id=run, status=record.status, end_time=record.ended)
        return Place(experiment, run)

    async def _experiment(self, name: str) -> str:
        try:
            return await self._experiment_named(name)
        except TrackingError as error:
            if error.code != NOT_FOUND:
                raise
        try:
            return _id(await self._post("experiments/create", name=name), "experiment_id")
        except TrackingError as error:
            if error.code != EXISTS:
                raise
        return await self._experiment_named(name)  # another run has made it meanwhile

    async def _experiment_named(self, name: str) -> str:
        found = await call(self.client, self._at("experiments/get-by-name"), "GET", params={"experiment_name": name})
        return _id(found.get("experiment"), "experiment_id")

    async def _found(self, experiment: str, record: Record) -> str | None:
        # Both ids are the service's own: letters and digits.
        tags = ((MODEL_ID, record.key.model_id), (TRAINING_ID, record.key.training_id))
        which = " AND ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags)
        found = await self._post("runs/search", experiment_ids=[experiment], filter=which, max_results=1)
        runs = found.get("runs")
        return _run_id(runs[0]) if isinstance(runs, list) and runs else None

    async def _created(self, experiment: str, record: Record) -> str:
        # With the tags that it is found again by: a try that hears no answer makes no second one.
        ids = [
            {"key": MODEL_ID, "value": record.key.model_id},
            {"key": TRAINING_ID, "value": record.key.training_id},
        ]
        made = await self._post(
            "runs/create", experiment_id=experiment, run_name=record.name, start_time=record.started, tags=ids
        )
        return _run_id(made.get("run"))

    async def _post(self, path: str, **content: Any) -> dict[str, Any]:
        return await call(self.client, self._at(path), "POST", json=content)

    def _at(self, path: str) -> str:
        return f"{self.url}/api/2.0/mlflow/{path}"


def _run_id(run: Any) -> str:
    return _id(run.get("info") if isinstance(run, dict) else None, "run_id")


def _id(data: Any, key: str) -> str:
    found = data.get(key) if isinstance(data, dict) else None
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise TrackingError("its answer is none of MLflow's")
    return found
