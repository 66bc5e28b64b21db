"""/v3/models/{id}/results: what a run has left in its results bucket, without the bucket's credentials."""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from trainyard.api.answers import refusals
from trainyard.api.auth import CallerDep
from trainyard.api.streams import AS_IT_IS, Skipping, begun, chunks_of
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, Store, StoreError, Why, check_key

router = APIRouter()
_FROM = re.compile(r"bytes=(\d{1,18})-")


@router.get(
    "/models/{model_id}/results", summary="List what a run has stored", responses=refusals(400, 403, 404, 500, 503)
)
def results(request: Request, caller: CallerDep, model_id: str) -> dict[str, Any]:
    """List the objects below the run's folder in the results bucket, with names relative to it and sizes in bytes."""
    store = request.app.state.service.results(model_id, caller)
    found = [{"name": entry.key, "size": entry.size} for entry in store.list()]
    return {"model_id": model_id, "resources": found, "total": len(found)}


@router.get(
    "/models/{model_id}/results/{name:path}",
    summary="Download one stored file",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The file"},
        206: {"content": {"application/octet-stream": {}}, "description": "The rest of it"},
        **refusals(400, 403, 404, 500, 503),
    },
)
def download(request: Request, caller: CallerDep, model_id: str, name: str) -> StreamingResponse:
    """Stream one file as the results listing names it; `Range: bytes=N-` goes on where a download broke off."""
    store = request.app.state.service.results(model_id, caller, name)
    entry = _entry(store, model_id, name)
    start = _start(request.headers.get("range", ""), entry.size)
    body = begun(chunks_of(lambda into: store.get(name, cast("Any", Skipping(into, start)))))
    return StreamingResponse(body, 206 if start else 200, _headers(entry, start), "application/octet-stream")


def _entry(store: Store, model_id: str, name: str) -> Entry:
    try:
        check_key(name)
        found = next((entry for entry in store.list(name) if entry.key == name), None)
    except StoreError as error:
        if error.why is not Why.BAD_KEY:
            raise
        found = None
    if found is None:
        raise TrainyardError(
            "C107", f"{model_id} has stored nothing of that name", "Its results' listing says what there is."
        )
    return found


def _start(asked: str, size: int) -> int:
    """Return where to begin; a range that makes no sense is no reason to refuse the whole."""
    wanted = _FROM.fullmatch(asked)
    start = int(wanted[1]) if wanted else 0
    return start if start < size else 0


def _headers(entry: Entry, start: int) -> dict[str, str]:
    name = quote(entry.key.rpartition("/")[2], safe="")
    headers = {
        "Content-Length": str(entry.size - start),
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
        **AS_IT_IS,
    }
    return {**headers, "Content-Range": f"bytes {start}-{entry.size - 1}/{entry.size}"} if start else headers
