"""/v3/stores/{name}/objects: what is in the stores that people keep, without the stores' keys."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from trainyard.answers.service import ObjectPage, StoredObject
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.storerequests import RequestBody, StoreRequests
from trainyard.api.stores import Payer
from trainyard.core.objects import OwnBucket
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry

router = APIRouter()
MAX = 1000
_PLACE = "/stores/{name}/objects/{bucket}"
_REFUSALS = refusals(400, 403, 404, 429, 500, 503)


@router.get(_PLACE, summary="List the objects of a bucket", **answers(ObjectPage), responses=_REFUSALS)
async def objects(
    request: Request,
    caller: CallerDep,
    name: str,
    bucket: str,
    account: Payer = None,
    prefix: Annotated[str, Query(max_length=1024, description="How the keys begin")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX, description="The most objects of a page")] = MAX,
    continuation: Annotated[str, Query(max_length=1024, description="Where the page before has ended")] = "",
) -> dict[str, Any]:
    """List the objects of a bucket in the order of their keys, with sizes in bytes.

    `continuation` of an answer is null on the last page; asked with it, the next page comes.
    """
    opened = await _opened(request, name, bucket, account, caller)
    requests = _requests(request)
    place = requests.take(opened.account)
    try:
        found = await requests.answer(request, place, partial(opened.page, prefix, continuation, limit))
    finally:
        place.let_go()
    shown = [_json(entry) for entry in found[:limit]]
    more = shown[-1]["key"] if len(found) > limit else None
    return {"store": name, "bucket": bucket, "resources": shown, "continuation": more}


@router.put(
    f"{_PLACE}/{{key:path}}",
    summary="Store an object",
    **answers(StoredObject),
    responses=refusals(400, 403, 404, 408, 413, 429, 500, 503),
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}, "required": True}},
)
async def put(
    request: Request, caller: CallerDep, name: str, bucket: str, key: str, account: Payer = None
) -> dict[str, Any]:
    """Store the body under a key, in the place of what was there: whole and as it was sent, or not at all.

    `Content-Length` has to say how long it is; with `Content-MD5` what has arrived is compared with it.
    """
    size, digest = _size(request), _digest(request)
    opened = await _opened(request, name, bucket, account, caller)
    requests = _requests(request)
    place = requests.take(opened.account)

    def store(body: RequestBody) -> Entry:
        return opened.put(key, body, size, digest)

    try:
        return _json(await requests.receive(request, place, store))
    finally:
        place.let_go()


@router.delete(
    f"{_PLACE}/{{key:path}}",
    status_code=204,
    response_class=Response,
    summary="Remove an object",
    responses=_REFUSALS,
)
async def remove(request: Request, caller: CallerDep, name: str, bucket: str, key: str, account: Payer = None) -> None:
    """Remove an object; one that is not there is fine."""
    opened = await _opened(request, name, bucket, account, caller)
    requests = _requests(request)
    place = requests.take(opened.account)
    try:
        await requests.answer(request, place, partial(opened.remove, key))
    finally:
        place.let_go()


async def _opened(request: Request, name: str, bucket: str, account: str | None, caller: Any) -> OwnBucket:
    found: OwnBucket = await run_in_threadpool(request.app.state.objects.bucket, name, bucket, account, caller)
    return found


def _requests(request: Request) -> StoreRequests:
    found: StoreRequests = request.app.state.store_requests
    return found


def _size(request: Request) -> int:
    """Return the announced size, which the guard has looked at before; raise TrainyardError C110 without one."""
    announced = request.headers.get("content-length", "")
    if not announced:
        raise TrainyardError("C110", "an object needs a Content-Length", "Say how many bytes it has.")
    return int(announced)


def _digest(request: Request) -> str:
    given = request.headers.get("content-md5", "")
    if not given:
        return ""
    try:
        digest = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        raise TrainyardError("C110", "Content-MD5 is no MD5 in base64", "See /v3/docs.")
    return digest.hex()


def _json(entry: Entry) -> dict[str, Any]:
    return {"key": entry.key, "size": entry.size, "etag": entry.etag, "md5": entry.md5}
