"""/v3/models/{id}/files: what lies in a run's RESULT_DIR while it goes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from trainyard.answers.runs import LivePage
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.streams import attachment
from trainyard.core.livefiles import LiveFiles

router = APIRouter()
MAX = 10_000
_CHUNK = 256 * 1024


@router.get(
    "/models/{model_id}/files",
    summary="List what a run has made so far",
    **answers(LivePage),
    responses=refusals(400, 403, 404, 409, 429),
)
def files(
    request: Request,
    caller: CallerDep,
    model_id: str,
    limit: Annotated[int, Query(ge=1, le=MAX, description="The most files of a page")] = MAX,
    continuation: Annotated[str, Query(max_length=4096, description="Where the page before has ended")] = "",
) -> dict[str, Any]:
    """List the files in RESULT_DIR of a run that goes on, with their sizes in bytes at this moment.

    `others` counts what can not be had: links, pipes, devices, and names that are not UTF-8. `whole` is false where
    there is more than is looked at. `continuation` of an answer is null on the last page.
    """
    live: LiveFiles = request.app.state.live_files
    found = live.page(model_id, caller, limit, continuation)
    shown = [{"name": name, "size": size} for name, size in found.files]
    more = shown[-1]["name"] if found.more else None
    counted = {"others": found.others, "whole": found.whole}
    return {"model_id": model_id, "resources": shown, "continuation": more, **counted}


@router.get(
    "/models/{model_id}/files/{name:path}",
    summary="Download one file that a run has made so far",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/octet-stream": {}},
            "description": "The file, as long as it was when it was opened",
        },
        **refusals(400, 403, 404, 409, 429),
    },
)
async def download(request: Request, caller: CallerDep, model_id: str, name: str) -> StreamingResponse:
    """Stream one file as the listing names it; of one that is written to meanwhile no more than was there at first."""
    live: LiveFiles = request.app.state.live_files
    file = await run_in_threadpool(live.opened, model_id, caller, name)
    return StreamingResponse(_content(file), 200, attachment(name), "application/octet-stream")


async def _content(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        left = os.fstat(file.fileno()).st_size
        while left > 0 and (chunk := await run_in_threadpool(file.read, min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
