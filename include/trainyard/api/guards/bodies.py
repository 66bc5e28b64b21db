"""Bodies within bounds: how large, how long and how slow those of requests may be, and how slowly answers are taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from trainyard.api.guards.asgi import CLOSE, Message, Receive, Scope, Send, header
from trainyard.errors import TrainyardError

# Before this a slow start is no reason to refuse.
_GRACE_SECONDS = 10.0
# Where the scope of a request has its body, once a guard has read it.
_BODY = "trainyard.body"
# A client that takes nothing for so long has gone, or keeps a connection for nothing.
_STALLED_SECONDS = 120.0
# The server keeps a piece in memory until it is taken, and says only of the piece before whether that was.
_PIECE = 64 * 1024


@dataclass(frozen=True)
class Bounds:
    """What a body may be: bytes, seconds until its end, and bytes a second on average after the first 10 s."""

    max_bytes: int
    seconds: float = 30.0
    min_rate: float = 1024.0
    hint: str = "Leave data out of the zip: it belongs in the training bucket."

    def check_announced(self, scope: Scope) -> None:
        """Raise TrainyardError C109 for a Content-Length beyond the bounds, C110 for one that is no number."""
        length = header(scope, b"content-length")
        if not length:
            return
        if not length.isascii() or not length.isdecimal():
            raise TrainyardError("C110", "Content-Length is not a number", "See /v3/docs.")
        # A number of thousands of digits is expensive to read.
        if len(length.lstrip("0")) > 18 or int(length) > self.max_bytes:
            raise self.too_large()

    def too_large(self) -> TrainyardError:
        return TrainyardError("C109", f"the request is larger than {self.max_bytes} bytes", self.hint)

    def seconds_left(self, received: int, waited: float) -> float:
        """Return for how long the next bytes may be waited for."""
        allowed = max(_GRACE_SECONDS, received / self.min_rate)
        return min(self.seconds, allowed) - waited


class BodyRefused(HTTPException):
    """A body left its bounds while it was read; frameworks pass this type on to its handler unchanged."""

    def __init__(self, error: TrainyardError) -> None:
        super().__init__(error.status, error.message, dict(CLOSE))
        self.error = error


def has_body(scope: Scope) -> bool:
    return bool(header(scope, b"transfer-encoding")) or header(scope, b"content-length").lstrip("0") != ""


class BoundedBody:
    """A `receive` that raises BodyRefused when the body leaves its bounds.

    `paced` is called with the size of each chunk and may wait; that time does not count against the sender.
    """

    def __init__(self, receive: Receive, bounds: Bounds, paced: Callable[[int], Awaitable[None]] | None = None) -> None:
        self._receive, self._bounds, self._paced = receive, bounds, paced
        self._received = 0
        self._waited = 0.0
        self.complete = False

    async def __call__(self) -> Message:
        if self.complete:
            return await self._receive()
        message = await self._next()
        size = len(message.get("body", b""))
        self._received += size
        if self._received > self._bounds.max_bytes:
            raise BodyRefused(self._bounds.too_large())
        self.complete = message["type"] != "http.request" or not message.get("more_body", False)
        if size and self._paced:
            await self._paced(size)
        return message

    async def _next(self) -> Message:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._bounds.seconds_left(self._received, self._waited)):
                return await self._receive()
        except TimeoutError:
            hint = "Try again over a faster connection."
            raise BodyRefused(TrainyardError("C121", "the request's body came too slowly", hint)) from None
        finally:
            self._waited += time.monotonic() - begun


async def whole_body(scope: Scope, receive: Receive, bounds: Bounds) -> tuple[bytes | None, Receive]:
    """Return the whole body and a `receive` that gives it again; the first guard that asks reads it, for all others.

    The body is None when the client left before its end. Raise TrainyardError beyond the bounds.
    """
    if _BODY in scope:
        body: bytes = scope[_BODY]
        if len(body) > bounds.max_bytes:
            raise bounds.too_large()
        return body, receive
    read = await read_whole(receive, bounds)
    if read is None:
        return None, receive
    scope[_BODY] = read
    return read, replayed(read, receive)


async def read_whole(receive: Receive, bounds: Bounds) -> bytes | None:
    """Return the whole body, None when the client left before its end; raise TrainyardError beyond the bounds."""
    bounded, parts = BoundedBody(receive, bounds), bytearray()
    try:
        while True:
            message = await bounded()
            if message["type"] != "http.request":
                return None
            parts += message.get("body", b"")
            if not message.get("more_body", False):
                return bytes(parts)
    except BodyRefused as refused:
        raise refused.error from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read, and afterwards what the connection gives."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


def closing(send: Send, body: BoundedBody) -> Send:
    """Return a `send` that ends the connection with an answer that comes before the end of the body."""

    async def closed(message: Message) -> None:
        if message["type"] == "http.response.start" and not body.complete:
            headers = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"connection"]
            message = {**message, "headers": [*headers, (b"connection", b"close")]}
        await send(message)

    return closed


class StalledClient(Exception):  # noqa: N818 - not an error of ours
    """The client does not read its answer."""


def unstalled(send: Send, seconds: float = _STALLED_SECONDS) -> Send:
    """Return a `send` that hands a body on piece by piece; it raises StalledClient for a client that takes none."""

    async def bounded(message: Message) -> None:
        try:
            for piece in _pieces(message):
                async with asyncio.timeout(seconds):
                    await send(piece)
        except TimeoutError:
            raise StalledClient from None

    return bounded


def _pieces(message: Message) -> Iterator[Message]:
    body = message.get("body", b"")
    while len(body) > _PIECE:
        yield {**message, "body": bytes(body[:_PIECE]), "more_body": True}
        body = memoryview(body)[_PIECE:]
    yield {**message, "body": bytes(body)} if "body" in message else message
