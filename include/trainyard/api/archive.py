"""/v3/models/{id}/results.zip: all that a run has stored as one zip, made while it is sent."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, cast
from zipfile import ZipFile, ZipInfo

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from trainyard.api.auth import CallerDep
from trainyard.api.openapi import refusals
from trainyard.api.results import opened_results, read_entry
from trainyard.api.streams import AS_IT_IS
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, Store
from trainyard.stores.keys import check_keys

router = APIRouter()
# What a zip's directory of contents, which comes last, takes of memory meanwhile: some 10 MB.
MAX_FILES = 10_000
# Zips tell years from 1980 to 2107.
_FIRST, _LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
_BUFFER = 64 * 1024
_ALL = "*"


@router.get(
    "/models/{model_id}/results.zip",
    summary="Download all stored files as a zip",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/zip": {}}, "description": "The zip, not compressed"},
        **refusals(400, 403, 404, 413, 429, 500, 503),
    },
)
async def archive(request: Request, caller: CallerDep, model_id: str) -> StreamingResponse:
    """Stream a zip of all files of a run, of 10,000 at most. Where the store fails meanwhile, the answer breaks off."""
    store, place = await opened_results(request, model_id, caller, _ALL)
    requests = request.app.state.store_requests
    try:
        entries = await requests.answer(request, place, partial(_listed, store, model_id))
        body = await requests.stream(request, place, partial(write_archive, store, entries))
    finally:
        place.let_go()
    return StreamingResponse(body, headers=_headers(model_id), media_type="application/zip")


def write_archive(store: Store, entries: Sequence[Entry], into: BinaryIO) -> None:
    """Write a zip of the entries to a file that cannot be sought in, one after the other and none of them held."""
    forward = _Forward(into)
    with io.BufferedWriter(forward, _BUFFER) as buffered, ZipFile(buffered, "w") as packing:
        for entry in entries:
            info = ZipInfo(entry.key, _moment(entry))
            info.file_size, info.external_attr = entry.size, 0o100644 << 16
            with packing.open(info, "w") as target, forward.cut_by_failures():
                read_entry(store, entry, 0, cast(BinaryIO, target))


def _listed(store: Store, model_id: str) -> list[Entry]:
    entries = list(islice(store.list(), MAX_FILES + 1))
    hint = f"`trainyard download {model_id}` fetches them one by one."
    if not entries:
        raise TrainyardError("C107", f"{model_id} has stored nothing", f"`trainyard show {model_id}` says why.")
    if len(entries) > MAX_FILES:
        raise TrainyardError("C109", f"{model_id} has stored more than {MAX_FILES:,} files", hint)
    check_keys(entry.key for entry in entries)
    return entries


def _moment(entry: Entry) -> tuple[int, int, int, int, int, int]:
    found = time.gmtime(entry.modified or 0)[:6]
    return min(max(found, _FIRST), _LAST)


class _Forward(io.RawIOBase):
    """What is written goes on to a file that knows nothing but `write`."""

    def __init__(self, into: BinaryIO) -> None:
        self._into, self._cut = into, False

    @contextmanager
    def cut_by_failures(self) -> Iterator[None]:
        """Let nothing through any more after a failure inside: the end of a zip would make it look whole."""
        try:
            yield
        except BaseException:
            self._cut = True
            raise

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self._cut:
            self._into.write(data)
        return len(data)


def _headers(model_id: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'attachment; filename="{model_id}.zip"',
        "X-Content-Type-Options": "nosniff",
        **AS_IT_IS,
    }
