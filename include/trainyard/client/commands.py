"""A command in a running program's container: input, output and exit code over a websocket, as docs/rest.md has it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from trainyard.client.access import is_loopback
from trainyard.client.errors import UnreachableError
from trainyard.client.reading import error_of
from trainyard.client.session import Session
from trainyard.client.transport import ANSWER_SECONDS

T = TypeVar("T")
STDIN, STDOUT, STDERR, RESULT, RESIZE = range(5)
END_OF_INPUT = b"\xff\x00"
_PIECE = 64 * 1024
_CLOSE_SECONDS = 2.0


@dataclass(frozen=True)
class Command:
    """What to run, and how: with input or without, on a terminal or not, in which learner's container."""

    command: Sequence[str]
    stdin: bool = False
    tty: bool = False
    learner: int = 1


@dataclass(frozen=True)
class ExecResult:
    """How a command has ended: its exit code, and what it wrote."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def output(self) -> str:
        """What it wrote to its standard output, as text."""
        return self.stdout.decode(errors="replace")


# What goes to the command: messages with their channel; the input has ended when they have.
Inputs = AsyncIterator[bytes]
# Hears what the command writes, with the channel it came from.
Heard = Callable[[int, bytes], Awaitable[object]]


async def converse(session: Session, place: str, command: Command, inputs: Inputs, heard: Heard) -> int:
    """Run a command and return its exit code. Raise TrainyardError for whatever keeps it from running to its end."""
    token = await asyncio.to_thread(session.token)
    try:
        return await _conversed(session.url, token, place, command, inputs, heard)
    except _UnauthorizedError as refused:
        if not session.can_sign_in:
            raise refused.error from None
        renewed = await asyncio.to_thread(session.token, token)
    try:
        return await _conversed(session.url, renewed, place, command, inputs, heard)
    except _UnauthorizedError as refused:
        raise refused.error from None


class _UnauthorizedError(Exception):
    """The token is not taken, and nothing has begun."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def _conversed(url: str, token: str | None, place: str, command: Command, inputs: Inputs, heard: Heard) -> int:
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

    try:
        async with _opened(url, token, place) as socket:
            await socket.send(json.dumps(asdict(command)))
            sending = asyncio.ensure_future(_send(socket, command, inputs))
            try:
                return _code(await _listen(socket, heard))
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
    except InvalidStatus as error:
        refusal = error_of(url, error.response.status_code, bytes(error.response.body or b""))
        if error.response.status_code == 401:
            raise _UnauthorizedError(refusal) from None
        raise refusal from None
    except ConnectionClosed:
        raise UnreachableError("the connection to the command broke", "It was ended with it. Try again.") from None
    except (InvalidHandshake, OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        message = f"no websocket opens at {url}: {reason}"
        raise UnreachableError(message, "Look whether a proxy lets websockets through.", sent=False) from None


def _opened(url: str, token: str | None, place: str) -> Any:
    import httpx
    from websockets.asyncio.client import connect

    return connect(
        f"ws{url.removeprefix('http')}{place}",
        ssl=httpx.create_ssl_context() if url.startswith("https:") else None,
        additional_headers={"Authorization": f"Bearer {token}"} if token else {},
        compression=None,
        proxy=None if is_loopback(url) else True,
        open_timeout=ANSWER_SECONDS,
        # Whoever reads nothing for a while is not dead.
        ping_timeout=None,
        close_timeout=_CLOSE_SECONDS,
        max_size=None,
    )


async def _send(socket: Any, command: Command, inputs: Inputs) -> None:
    from websockets.exceptions import ConnectionClosed

    try:
        async for message in inputs:
            await socket.send(message)
        if command.stdin:
            await socket.send(END_OF_INPUT)
    except ConnectionClosed:
        pass  # whoever listens says why


async def _listen(socket: Any, heard: Heard) -> bytes:
    while True:
        message = await socket.recv(decode=False)
        channel, content = message[0], message[1:]
        if channel == RESULT:
            return bytes(content)
        await heard(channel, content)


def _code(result: bytes) -> int:
    data = json.loads(result)
    if "error" in data:
        raise error_of("", 500, result)
    return int(data["exit_code"])


async def pieces(content: bytes) -> Inputs:
    """Yield an input that is there as a whole, as messages."""
    for start in range(0, len(content), _PIECE):
        yield bytes([STDIN]) + content[start : start + _PIECE]


def in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread of its own: a notebook's has an event loop that runs already."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]]] = Future()

    async def whole() -> T:
        task = asyncio.ensure_future(work)
        begun.set_result((asyncio.get_running_loop(), task))
        return await task

    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(asyncio.run, whole())
        try:
            return result.result()
        except KeyboardInterrupt:
            loop, task = begun.result()
            loop.call_soon_threadsafe(task.cancel)
            raise


def collected(session: Session, place: str, command: Command, content: bytes) -> ExecResult:
    """Run a command with an input that is there as a whole, and return all that it wrote."""
    written: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}

    async def heard(channel: int, chunk: bytes) -> None:
        written.setdefault(channel, []).append(chunk)

    code = in_thread(converse(session, place, command, pieces(content), heard))
    return ExecResult(code, b"".join(written[STDOUT]), b"".join(written[STDERR]))
