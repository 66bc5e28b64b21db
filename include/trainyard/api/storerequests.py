"""What waits for object stores: in threads of its own, a few for an account, and no longer than its client."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event, Lock
from typing import Any, BinaryIO, TypeVar, cast

from fastapi import Request
from starlette.requests import ClientDisconnect

from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.stores.network.call import given_up_by

T = TypeVar("T")
Fill = Callable[[BinaryIO], object]

_POLL_SECONDS = 0.5
_PIECE = 64 * 1024
_AHEAD = 8  # pieces that are kept for a client which reads more slowly than the store sends
_HINT = "Try again when the others have been answered."


class Place:
    """One of the requests that may wait for stores; it is free again once everybody who holds it has let go."""

    def __init__(self, free: Callable[[], None]) -> None:
        self._free, self._holders, self._lock = free, 1, Lock()

    def hold(self) -> None:
        with self._lock:
            self._holders += 1

    def let_go(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self._free()

    def __del__(self) -> None:
        # A client can leave before its answer begins: what was made to send it ends then without having run.
        if self._holders > 0:
            self._free()


class StoreRequests:
    """At most `most` requests at a time, `per_account` of them for one account.

    `patience_seconds` is how long a client may take to read 64 KiB.
    """

    def __init__(self, most: int, per_account: int, patience_seconds: float) -> None:
        self._most, self._per_account, self._patience = most, per_account, patience_seconds
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="store")
        self._taken, self._lock = Counter[str](), Lock()

    @classmethod
    def of(cls, settings: Settings) -> StoreRequests:
        """Read the numbers from the settings `store_requests`, `…_per_account` and `store_answer_seconds`."""
        return cls(settings.store_requests, settings.store_requests_per_account, settings.store_answer_seconds)

    def take(self, account: str) -> Place:
        """Take a place for a run of the account; raise TrainyardError C115 or S306 where too many are taken."""
        with self._lock:
            if self._taken[account] >= self._per_account:
                message = f"{self._per_account} requests of account {account} wait for its object stores already"
                raise TrainyardError("C115", message, _HINT)
            if self._taken.total() >= self._most:
                raise TrainyardError("S306", "too many requests wait for object stores", _HINT)
            self._taken[account] += 1
        return Place(partial(self._give_back, account))

    async def answer(self, request: Request, place: Place, job: Callable[[], T]) -> T:
        """Return what the job returns, or raise what it raises; it is given up when the client has left."""
        given_up = Event()
        future = self._start(place, given_up, job)
        try:
            return await _unless_gone(request, future)
        finally:
            given_up.set()

    async def stream(self, request: Request, place: Place, fill: Fill) -> AsyncIterator[bytes]:
        """Return what `fill` writes as it comes, once the first of it is there; raise what it raises before.

        Who stops reading ends it.
        """
        flow = _Flow(asyncio.get_running_loop(), self._patience)
        job = self._start(place, flow.given_up, partial(flow.run, fill))
        try:
            first = await _unless_gone(request, asyncio.ensure_future(flow.next()))
        except BaseException:
            flow.given_up.set()
            raise
        return flow.rest(first, job)

    async def receive(self, request: Request, place: Place, job: Callable[[RequestBody], T]) -> T:
        """Return what a job returns that reads the request's body, or raise what it raises.

        A client that leaves ends the body, so that the job can still take back what it has begun.
        """
        body = RequestBody(asyncio.get_running_loop(), request.stream())
        return await self._start(place, Event(), partial(job, body))

    def _start(self, place: Place, given_up: Event, job: Callable[[], T]) -> asyncio.Future[T]:
        def run() -> T:
            with given_up_by(given_up):
                return job()

        place.hold()
        # Whoever asked may be gone: what the job raises then concerns nobody, and its place is taken until it ends.
        begun = self._threads.submit(run)
        begun.add_done_callback(place.let_go)
        future = asyncio.wrap_future(begun)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    def _give_back(self, account: str) -> None:
        with self._lock:
            self._taken[account] -= 1
            if not self._taken[account]:
                del self._taken[account]


class _Flow:
    """Pieces on their way from a thread that writes them to the loop that sends them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patience_seconds: float) -> None:
        self.given_up = Event()
        self._loop, self._patience = loop, patience_seconds
        self._pieces: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(_AHEAD)

    def run(self, fill: Fill) -> None:
        """Write all that `fill` writes, then its end or its failure."""
        end: BaseException | None = None
        try:
            fill(cast(BinaryIO, self))
        except BaseException as failure:  # noqa: BLE001 - raised again where the pieces are read
            end = failure
        with suppress(_ReaderGoneError):
            self._put(end)

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            for start in range(0, len(view), _PIECE):
                self._put(bytes(view[start : start + _PIECE]))
            return len(view)

    async def next(self) -> bytes:
        """Return the next piece, empty at the end; raise what was raised in the place of it."""
        piece = await self._pieces.get()
        if isinstance(piece, BaseException):
            raise piece
        return piece or b""

    async def rest(self, piece: bytes, job: asyncio.Future[Any]) -> AsyncIterator[bytes]:
        try:
            while piece:
                yield piece
                piece = await self.next()
        finally:
            self.given_up.set()
            with suppress(asyncio.QueueEmpty):
                while True:
                    self._pieces.get_nowait()
            job.cancel()

    def _put(self, piece: bytes | BaseException | None) -> None:
        put = asyncio.run_coroutine_threadsafe(self._pieces.put(piece), self._loop)
        until = time.monotonic() + self._patience
        while not self.given_up.is_set() and time.monotonic() < until:
            with suppress(TimeoutError):
                return put.result(_POLL_SECONDS)
        put.cancel()
        raise _ReaderGoneError


class RequestBody:
    """The body of a request, read in a thread while the loop takes it from the connection as it is asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stream: AsyncIterator[bytes]) -> None:
        self._loop, self._stream = loop, stream
        self._piece = b""

    def read(self, size: int) -> bytes:
        """Return up to so many bytes, at least one; none at the end. Raise TrainyardError where the client has left."""
        if not self._piece:
            self._piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        taken, self._piece = self._piece[:size], self._piece[size:]
        return taken

    async def _next(self) -> bytes:
        try:
            while (piece := await anext(self._stream, None)) is not None:
                if piece:
                    return piece
        except ClientDisconnect:
            raise TrainyardError("C110", "the client has left before the end of the body", "Send it again.") from None
        return b""


class _ReaderGoneError(Exception):
    pass


async def _unless_gone(request: Request, answer: asyncio.Future[T]) -> T:
    gone = asyncio.ensure_future(_gone(request))
    try:
        either: set[asyncio.Future[Any]] = {answer, gone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise TrainyardError("C110", "the client has left before it was answered", "Ask again.")
    finally:
        gone.cancel()
        answer.cancel()


async def _gone(request: Request) -> None:
    # Not is_disconnected: it does not wait, and behind Airflow's middleware what does not wait never hears of it.
    while (await request.receive())["type"] != "http.disconnect":
        pass
