"""/v3/models/{id}/logs: the program's output, followed from before it starts until the run's end."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from trainyard.api.auth import CallerDep
from trainyard.api.openapi import refusals
from trainyard.api.storerequests import Place
from trainyard.api.streams import AS_IT_IS
from trainyard.core.runs import Run
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError
from trainyard.stores.atmost import AtMost
from trainyard.stores.base import Store, StoreError, Why
from trainyard.stores.tree import open_inside
from trainyard.workspace.layout import RunFolder, Workspace

router = APIRouter()
OFFSET = "X-Log-Offset"
# Each chunk takes the server's loop a turn, so that small ones keep others waiting.
_CHUNK = 256 * 1024
_PAUSE_SECONDS = 0.3
_MAX_LINES = 1_000_000
# Lines are looked for in the last bytes of a log; a log of gigabytes without an end of line is not read for them.
_MAX_LOOK_BACK = 256 * 1024**2
# What the service itself adds to the output that a log keeps.
_SLACK = 1024 * 1024

# Opens the log for reading; OSError where there is none.
Opener = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Log:
    """Where a log is read, and what to let go of when nobody reads it any more: a file, and the place it took."""

    opened: Opener
    fetched: IO[bytes] | None = None
    place: Place | None = None

    def close(self) -> None:
        if self.fetched:
            self.fetched.close()
        if self.place:
            self.place.let_go()


@router.get(
    "/models/{model_id}/logs",
    summary="Read or follow what the program wrote",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/plain": {}},
            "description": "The log's bytes as they are",
            "headers": {OFFSET: {"description": "Where in the log the answer begins, in bytes", "schema": {}}},
        },
        **refusals(400, 403, 404, 429, 500, 503),
    },
)
async def logs(
    request: Request,
    caller: CallerDep,
    model_id: str,
    follow: Annotated[bool, Query(description="Go on until the run has ended")] = False,
    offset: Annotated[int, Query(ge=0, le=2**62, description="Begin behind this many bytes")] = 0,
    last: Annotated[
        int | None, Query(ge=0, le=_MAX_LINES, description="Begin with the last N lines, or 256 MiB")
    ] = None,
    learner: Annotated[int, Query(ge=1, le=64, description="Which of several learners' log")] = 1,
) -> StreamingResponse:
    """Return the training log as text. A run whose program never ran has its reason there instead.

    A connection that breaks is made again with `offset`: what the header X-Log-Offset said plus what has come since.
    """
    if last is not None and offset:
        raise TrainyardError("C110", "offset and last both say where to begin", "Give one of them.")
    service = request.app.state.service
    run = await run_in_threadpool(service.run_of_log, model_id, caller)
    if learner > run.learners:
        raise TrainyardError("C110", f"{model_id} has no learner {learner}", f"It has {run.learners}.")
    log = await log_of(request, run, caller, learner)
    try:
        start = offset if last is None else await run_in_threadpool(start_of_last_lines, log.opened, last)
    except BaseException:
        log.close()
        raise

    def look() -> Run:
        found: Run = service.run(model_id, caller)
        return found

    lines = _closing(log, _lines(log.opened, look, follow, start))
    return StreamingResponse(lines, media_type="text/plain; charset=utf-8", headers={OFFSET: str(start), **AS_IT_IS})


async def _lines(opened: Opener, look: Callable[[], Run], follow: bool, start: int) -> AsyncIterator[bytes]:
    """Yield the log's bytes once each: what there is, then what comes until the run has ended."""
    position = start
    while True:
        run = await run_in_threadpool(look)
        over = run.state.terminal or not follow
        while chunk := await run_in_threadpool(read_log, opened, position):
            position += len(chunk)
            yield chunk
        if over:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    if position == 0 and run.outcome and run.outcome.code:
        yield f"The program wrote nothing. {run.outcome.code}: {run.outcome.message}\n".encode()


async def _closing(log: Log, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in lines:
            yield chunk
    finally:
        log.close()


async def log_of(request: Request, run: Run, caller: Any, learner: int = 1) -> Log:
    """Choose where to read: the workspace, or the results bucket for a run whose workspace is no more."""
    state = request.app.state
    here = _inside(Workspace(state.settings.workspace).run(run.key).of_learner(learner))
    if not run.state.terminal or await run_in_threadpool(_is_there, here):
        return Log(here)
    if run.phase is not Phase.DONE and run.running_at is None:  # its program never started
        return Log(io.BytesIO)
    store = await run_in_threadpool(state.service.stored, run.model_id, caller)
    place = state.store_requests.take(run.account)
    try:
        key = f"learner-{learner}/training-log.txt"
        fetch = partial(_stored, store, place, state.settings.pod_log_bytes + _SLACK, key)
        fetched: Log = await state.store_requests.answer(request, place, fetch)
    except BaseException:
        place.let_go()
        raise
    return fetched


def _inside(folder: RunFolder) -> Opener:
    name = folder.training_log.relative_to(folder.logs).as_posix()
    # A program that put a link in the log's place has no log.
    return lambda: open_inside(folder.logs, name)


def _stored(store: Store, place: Place, most: int, key: str) -> Log:
    """Fetch the stored log into a file that is gone when it is closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the answer that reads it
    try:
        store.get(key, AtMost(cast(BinaryIO, file), most, key).as_file())
    except BaseException as error:
        file.close()
        if isinstance(error, StoreError) and error.why is Why.NO_KEY:
            return Log(io.BytesIO, None, place)
        raise
    file.flush()
    # A descriptor of its own for each reader, which may close it.
    return Log(lambda: open(f"/dev/fd/{file.fileno()}", "rb"), file, place)


def _is_there(opened: Opener) -> bool:
    with suppress(OSError), opened():
        return True
    return False


def read_log(opened: Opener, position: int) -> bytes:
    """Return the next bytes of a log, none at its end and where there is no log."""
    with suppress(OSError), opened() as file:
        file.seek(position)
        return file.read(_CHUNK)
    return b""


def start_of_last_lines(opened: Opener, count: int) -> int:
    """Return where the last lines begin; a last line without an end counts too."""
    with suppress(OSError), opened() as file:
        return _start_of_lines(file, count)
    return 0


def _start_of_lines(file: BinaryIO, count: int) -> int:
    size = place = file.seek(0, io.SEEK_END)
    # The end of the last line is none of the ends to count.
    wanted = count + _ends_with_newline(file, size) if count else 0
    if not wanted:
        return size
    first = max(0, size - _MAX_LOOK_BACK)
    while place > first:
        length = min(_CHUNK, place - first)
        place -= length
        file.seek(place)
        block = file.read(length)
        ends = block.count(b"\n")
        if ends >= wanted:
            return place + _nth_last(block, wanted) + 1
        wanted -= ends
    return first


def _ends_with_newline(file: BinaryIO, size: int) -> bool:
    file.seek(max(size - 1, 0))
    return file.read(1) == b"\n"


def _nth_last(block: bytes, count: int) -> int:
    place = len(block)
    for _ in range(count):
        place = block.rindex(b"\n", 0, place)
    return place
