"""/v3/models/{id}/logs: the program's output, followed from before it starts until the run's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from trainyard.api.auth import CallerDep
from trainyard.service import Run
from trainyard.stores.tree import open_inside
from trainyard.workspace.layout import RunFolder, Workspace

router = APIRouter()
_CHUNK = 64 * 1024
_PAUSE_SECONDS = 0.3


@router.get("/models/{model_id}/logs", response_class=StreamingResponse)
async def logs(
    request: Request,
    caller: CallerDep,
    model_id: str,
    follow: Annotated[bool, Query(description="Go on until the run has ended")] = False,
) -> StreamingResponse:
    """Return the training log as text. A run whose program never ran has its reason there instead."""
    service, settings = request.app.state.service, request.app.state.settings
    run = await run_in_threadpool(service.run, model_id, caller)
    folder = Workspace(Path(settings.workspace)).run(run.model_id)

    def look() -> Run:
        found: Run = service.run(model_id, caller)
        return found

    return StreamingResponse(_lines(folder, look, follow), media_type="text/plain; charset=utf-8")


async def _lines(folder: RunFolder, look: Callable[[], Run], follow: bool) -> AsyncIterator[bytes]:
    """Yield the log's bytes once each: what there is, then what comes until the run has ended."""
    position = 0
    while True:
        run = await run_in_threadpool(look)
        over = run.state.terminal or not follow
        while chunk := await run_in_threadpool(_read, folder, position):
            position += len(chunk)
            yield chunk
        if over:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    if position == 0 and run.outcome and run.outcome.code:
        yield f"The program wrote nothing. {run.outcome.code}: {run.outcome.message}\n".encode()


def _read(folder: RunFolder, position: int) -> bytes:
    """Read on in the log; a program that put a link in its place has no log."""
    try:
        with open_inside(folder.logs, folder.training_log.relative_to(folder.logs).as_posix()) as file:
            file.seek(position)
            return file.read(_CHUNK)
    except OSError:
        return b""
