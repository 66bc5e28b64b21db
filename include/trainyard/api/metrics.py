"""/v3/models/{id}/metrics: a run's curves, from the workspace, or from its bucket once that is all there is."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from trainyard.answers.metrics import MetricsAnswer
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.results import opened_results
from trainyard.api.streams import AS_IT_IS
from trainyard.core.accounts import Caller
from trainyard.core.runs import Run
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError
from trainyard.stores.atmost import AtMost
from trainyard.stores.base import Store, StoreError, Why
from trainyard.workspace.metrics.answering import DEFAULT_POINTS, MAX_POINTS, answer_of
from trainyard.workspace.metrics.state import MetricsState
from trainyard.workspace.metrics.stored import MAX_BYTES, NAME, from_file

router = APIRouter()
# How long a request waits for a first look at what a program has written; then it has what is known.
_PATIENCE_SECONDS = 0.5
_PAUSE_SECONDS = 2.0
# A comment on a stream that has nothing to tell: proxies cut what is silent for a minute.
_SILENT_ROUNDS = 10


@router.get(
    "/models/{model_id}/metrics",
    summary="Read or follow a run's metrics",
    **answers(MetricsAnswer),
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "The curves; with `follow` as events `metrics`, and `end` at last",
        },
        **refusals(400, 403, 404, 429, 500, 503),
    },
)
async def metrics(
    request: Request,
    caller: CallerDep,
    model_id: str,
    points: Annotated[int, Query(ge=1, le=MAX_POINTS, description="The most points of a curve")] = DEFAULT_POINTS,
    since: Annotated[str, Query(max_length=64, description="The cursor of an answer: only what is new since")] = "",
    follow: Annotated[bool, Query(description="Go on, as server-sent events, until the run has ended")] = False,
) -> Any:
    """Return the curves of a run that is going or has ended, thinned such that ends and peaks survive.

    Of a run that is going it is read on with each look, for a quarter of a second at most.
    """
    look = partial(_look, request, caller, model_id, points)
    answer = await look(since)
    if not follow:
        # As it is: what a model would check again are the numbers that were just read, some hundred thousand. And not
        # in the server's loop, which would answer nobody meanwhile.
        return Response(await run_in_threadpool(json.dumps, answer), media_type="application/json")
    return StreamingResponse(_events(answer, look), media_type="text/event-stream", headers=_STREAM)


_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **AS_IT_IS}


async def _events(answer: dict[str, Any], look: Any) -> AsyncIterator[str]:
    silent = 0
    yield await run_in_threadpool(_event, "metrics", answer)
    while not answer["complete"]:
        await asyncio.sleep(_PAUSE_SECONDS)
        before = answer
        try:
            answer = await look(before["cursor"])
        except TrainyardError:  # it was deleted, or is no longer the caller's to see
            break
        news = answer["curves"] or any(answer[key] != before[key] for key in ("progress", "warnings"))
        silent = 0 if news else silent + 1
        if news:
            yield await run_in_threadpool(_event, "metrics", answer)
        elif silent % _SILENT_ROUNDS == 0:
            yield ": nothing new\n\n"
    yield _event("end", {"model_id": answer["model_id"]})


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def _look(request: Request, caller: Caller, model_id: str, points: int, since: str) -> dict[str, Any]:
    state = request.app.state
    run = await run_in_threadpool(state.service.run, model_id, caller)
    if reading := state.metrics.ask(run):
        # No thread waits, and the reading goes on for who asks next.
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(reading)), _PATIENCE_SECONDS)
    known = await run_in_threadpool(state.metrics.state, run)
    ended = run.phase is Phase.DONE or (run.state.terminal and run.running_at is None)
    if known is None and run.phase is Phase.DONE and run.running_at is not None:
        known = await _of_bucket(request, run, caller)

    def answered() -> dict[str, Any]:
        answer = answer_of(known or MetricsState(generation="-"), model_id, points, since, complete=ended)
        progress = state.metrics.progress(known.progress, run) if known else None
        return {**answer, "progress": progress}

    return await run_in_threadpool(answered)


async def _of_bucket(request: Request, run: Run, caller: Caller) -> MetricsState | None:
    """Read what a run has stored, as any other file of its results is read: bounded, and recorded."""
    store, place = await opened_results(request, run.model_id, caller, NAME)
    try:
        requests = request.app.state.store_requests
        found: MetricsState | None = await requests.answer(request, place, partial(_stored, store))
    finally:
        place.let_go()
    return found


def _stored(store: Store) -> MetricsState | None:
    with tempfile.TemporaryFile() as file:
        try:
            store.get(NAME, AtMost(cast(BinaryIO, file), MAX_BYTES, NAME).as_file())
        except StoreError as error:
            if error.why is Why.NO_KEY:
                return None
            raise
        file.seek(0)
        try:
            return from_file(file)
        except ValueError:
            found = MetricsState()
            found.warn(f"{NAME} in the bucket is not the service's, or was changed")
            return found
