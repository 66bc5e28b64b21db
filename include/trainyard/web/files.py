"""What a run has stored: listed page by page, and small files looked at as text, JSON or a picture."""

from __future__ import annotations

import io
import os
from functools import partial
from typing import Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from trainyard.api.results import entry_of, opened_results, page_of_results, read_entry
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, Store
from trainyard.web.previews import MAX_PICTURE, picture_kind, preview_of
from trainyard.web.rendering import caller, page
from trainyard.web.runs import head_of

router = APIRouter()
_A_PAGE = 200
_MAX_TEXT = 256 * 1024


@router.get("/runs/{model_id}/files", response_class=HTMLResponse)
async def files(request: Request, model_id: str, after: Annotated[str, Query(max_length=1024)] = "") -> HTMLResponse:
    """List what a run has stored, or what it has made so far, in the order of the names."""
    head = await run_in_threadpool(head_of, request, model_id)
    found: list[Entry] = []
    refused = None
    look = _listed if head["row"].over else _made_so_far
    try:
        found = await look(request, model_id, after)
    except TrainyardError as error:  # a bucket that does not answer is no reason to hide the run
        refused = error
    shown = found[:_A_PAGE]
    more = shown[-1].key if len(found) > _A_PAGE else ""
    values = {**head, "files": shown, "more": more, "after": after, "refused": refused}
    return page(request, "files.html", refused.status if refused else 200, **values)


@router.get("/runs/{model_id}/files/{name:path}", response_class=HTMLResponse)
async def preview(request: Request, model_id: str, name: str) -> HTMLResponse:
    """Show one stored file, as far as it is text or a picture."""
    head = await run_in_threadpool(head_of, request, model_id)
    begin = _begin if head["row"].over else _begin_so_far
    entry, data = await begin(request, model_id, name, _MAX_TEXT)
    return page(request, "file.html", **head, name=name, size=entry.size, shown=preview_of(name, data, entry.size))


@router.get("/runs/{model_id}/picture/{name:path}")
async def picture(request: Request, model_id: str, name: str) -> Response:
    """Return a stored picture as one: what its first bytes say it is not, nobody's browser has to guess at."""
    run = await run_in_threadpool(request.app.state.service.run, model_id, caller(request))
    begin = _begin if run.state.terminal else _begin_so_far
    entry, data = await begin(request, model_id, name, MAX_PICTURE)
    kind = picture_kind(data)
    if kind is None or entry.size > MAX_PICTURE:
        raise TrainyardError("C107", f"{name} is no picture that is shown here", "Download it.")
    return Response(data, media_type=kind, headers={"Content-Security-Policy": "default-src 'none'; sandbox"})


async def _made_so_far(request: Request, model_id: str, after: str) -> list[Entry]:
    """Return a page and one file more, where there is one, of what lies in the run's RESULT_DIR."""
    live = request.app.state.live_files
    found = await run_in_threadpool(live.page, model_id, caller(request), _A_PAGE + 1, after)
    return [Entry(name, size, "") for name, size in found.files]


async def _listed(request: Request, model_id: str, after: str) -> list[Entry]:
    store, place = await opened_results(request, model_id, caller(request))
    try:
        listed = partial(page_of_results, store, _A_PAGE, after)
        found: list[Entry] = await request.app.state.store_requests.answer(request, place, listed)
    finally:
        place.let_go()
    return found


async def _begin(request: Request, model_id: str, name: str, most: int) -> tuple[Entry, bytes]:
    """Return a stored file and its first bytes; that it was read is recorded."""
    store, place = await opened_results(request, model_id, caller(request), name)
    try:
        begin = partial(_first_bytes, store, model_id, name, most)
        found: tuple[Entry, bytes] = await request.app.state.store_requests.answer(request, place, begin)
    finally:
        place.let_go()
    return found


async def _begin_so_far(request: Request, model_id: str, name: str, most: int) -> tuple[Entry, bytes]:
    """Return a file that a run has made so far, and its first bytes."""

    def begin() -> tuple[Entry, bytes]:
        with request.app.state.live_files.opened(model_id, caller(request), name) as file:
            return Entry(name, os.fstat(file.fileno()).st_size, ""), file.read(most)

    return await run_in_threadpool(begin)


def _first_bytes(store: Store, model_id: str, name: str, most: int) -> tuple[Entry, bytes]:
    entry = entry_of(store, model_id, name)
    into = io.BytesIO()
    if store.ranged:
        store.read(entry, 0, min(most, entry.size), into)
    elif entry.size <= most:
        read_entry(store, entry, 0, into)
    else:
        _read_beginning(store, entry, most, into)
    return entry, into.getvalue()


class _Enough(Exception):  # noqa: N818 - no error: what was wanted is there
    pass


def _read_beginning(store: Store, entry: Entry, most: int, into: io.BytesIO) -> None:
    """Read the beginning of a file from a store that gives it whole only."""

    class Beginning:
        def write(self, chunk: Any) -> int:
            into.write(chunk[: most - into.tell()])
            if into.tell() >= most:
                raise _Enough
            return len(chunk)

    try:
        store.read(entry, 0, entry.size, cast(BinaryIO, Beginning()))
    except _Enough:
        return
