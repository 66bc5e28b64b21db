"""/v3/models/{id}/results: what a run has left in its results bucket, without the bucket's credentials."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from trainyard.answers.runs import StoredPage
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.storerequests import Place
from trainyard.api.streams import Skipping, asked_from, attachment
from trainyard.core.accounts import Caller
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, Store, StoreError, Why, check_key

router = APIRouter()
MAX = 1000


@router.get(
    "/models/{model_id}/results",
    summary="List what a run has stored",
    **answers(StoredPage),
    responses=refusals(400, 403, 404, 429, 500, 503),
)
async def results(
    request: Request,
    caller: CallerDep,
    model_id: str,
    limit: Annotated[int, Query(ge=1, le=MAX, description="The most objects of a page")] = MAX,
    continuation: Annotated[str, Query(max_length=1024, description="Where the page before has ended")] = "",
) -> dict[str, Any]:
    """List the objects below the run's folder in the results bucket, with names relative to it and sizes in bytes.

    `continuation` of an answer is null on the last page; asked with it, the next page comes.
    """
    store, place = await opened_results(request, model_id, caller)
    try:
        page = partial(page_of_results, store, limit, continuation)
        found = await request.app.state.store_requests.answer(request, place, page)
    finally:
        place.let_go()
    shown = [{"name": entry.key, "size": entry.size} for entry in found[:limit]]
    more = shown[-1]["name"] if len(found) > limit else None
    return {"model_id": model_id, "resources": shown, "continuation": more}


@router.get(
    "/models/{model_id}/results/{name:path}",
    summary="Download one stored file",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The file"},
        206: {"content": {"application/octet-stream": {}}, "description": "The rest of it"},
        **refusals(400, 403, 404, 429, 500, 503),
    },
)
async def download(request: Request, caller: CallerDep, model_id: str, name: str) -> StreamingResponse:
    """Stream one file as the results listing names it; `Range: bytes=N-` goes on where a download broke off."""
    store, place = await opened_results(request, model_id, caller, name)
    requests = request.app.state.store_requests
    try:
        entry = await requests.answer(request, place, partial(entry_of, store, model_id, name))
        start = asked_from(request)
        start = start if start < entry.size else 0  # a range that makes no sense is no reason to refuse the whole
        body = await requests.stream(request, place, partial(read_entry, store, entry, start))
    finally:
        place.let_go()
    return StreamingResponse(body, 206 if start else 200, _headers(entry, start), "application/octet-stream")


async def opened_results(request: Request, model_id: str, caller: Caller, name: str = "") -> tuple[Store, Place]:
    """Open the results of a run, of which nothing is asked yet, and take a place for what is to be asked."""
    service = request.app.state.service
    run = await run_in_threadpool(service.run, model_id, caller)
    store = await run_in_threadpool(service.results, model_id, caller, name)
    return store, request.app.state.store_requests.take(run.account)


def page_of_results(store: Store, limit: int, after: str) -> list[Entry]:
    """Return a page and one object more, where there is one."""
    return list(islice(store.list(after=after), limit + 1))


def read_entry(store: Store, entry: Entry, start: int, into: BinaryIO) -> None:
    """Write a stored file into another one, from a byte on."""
    if store.ranged:
        store.read(entry, start, entry.size - start, into)
    else:
        store.read(entry, 0, entry.size, cast("Any", Skipping(into, start)))


def entry_of(store: Store, model_id: str, name: str) -> Entry:
    """Return what is stored under a name; raise TrainyardError C107 where there is nothing."""
    try:
        check_key(name)
        # What begins with a name comes behind it.
        first = next(iter(store.list(name)), None)
        found = first if first and first.key == name else None
    except StoreError as error:
        if error.why is not Why.BAD_KEY:
            raise
        found = None
    if found is None:
        raise TrainyardError(
            "C107", f"{model_id} has stored nothing of that name", "Its results' listing says what there is."
        )
    return found


def _headers(entry: Entry, start: int) -> dict[str, str]:
    headers = {"Content-Length": str(entry.size - start), **attachment(entry.key)}
    return {**headers, "Content-Range": f"bytes {start}-{entry.size - 1}/{entry.size}"} if start else headers
