"""/v3/models/{id}/exec: a command in a running program's container, over a websocket.

Messages are binary, their first byte is the channel, as in Kubernetes' exec: 0 input, 1 output, 2 errors, 3 the end,
4 the size of the terminal, 255 the end of the input.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import APIRouter, WebSocket
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from trainyard.api.auth import caller_of
from trainyard.api.guards.asgi import refusal_headers
from trainyard.api.guards.budgets import AtOnce
from trainyard.api.guards.texts import check_address
from trainyard.cluster.execution import END_OF_INPUT, RESIZE, RESULT, STDERR, STDIN, STDOUT, exit_code, reason, started
from trainyard.core.accounts import Caller
from trainyard.core.executing import Executing, check_command
from trainyard.core.runs import Run
from trainyard.errors import TrainyardError
from trainyard.settings import Settings

router = APIRouter()
_REQUEST_SECONDS = 15.0
_LOOK_SECONDS = 5.0
_OUTPUT = (STDOUT, STDERR)
_SIZES = ("Width", "Height")
_WHAT = "commands in runs"
_IDLE = "Start it again; TRAINYARD_EXEC_IDLE_SECONDS is how long it may be silent."
_LONG = "Start it again; TRAINYARD_EXEC_SECONDS is how long it may take."


class PodSocket(Protocol):
    """One command under way in a pod."""

    @property
    def ends_input(self) -> bool: ...

    async def send(self, message: bytes) -> None: ...

    async def receive(self) -> bytes | None: ...


# Starts a command in a pod, with or without input, on a terminal or not.
RunInPod = Callable[[str, Sequence[str], bool, bool], AbstractAsyncContextManager[PodSocket]]


@dataclass(frozen=True)
class Asked:
    """The first message of a client: what to run, and how."""

    command: list[str]
    stdin: bool
    tty: bool
    learner: int

    @classmethod
    def read(cls, text: str) -> Asked:
        """Read it; raise TrainyardError C110 for a message of another shape."""
        try:
            data = json.loads(text)
            stdin, tty, learner = data.get("stdin", False), data.get("tty", False), data.get("learner", 1)
        except (ValueError, AttributeError, RecursionError):
            raise _malformed("the first message is no JSON object") from None
        if not (isinstance(stdin, bool) and isinstance(tty, bool) and type(learner) is int):
            raise _malformed("stdin and tty are true or false, learner is a number")
        return cls(check_command(data.get("command")), stdin, tty, learner)


@dataclass
class Commands:
    """Where commands are run and how many at a time, how long they may take, and be silent, in seconds."""

    executing: Executing
    run_in_pod: RunInPod
    per_member: int
    most: int
    idle_seconds: float
    seconds: float
    look_seconds: float = _LOOK_SECONDS
    _members: AtOnce = field(init=False)
    _all: AtOnce = field(init=False)

    def __post_init__(self) -> None:
        self._members, self._all = AtOnce(self.per_member), AtOnce(self.most)

    @classmethod
    def of(cls, settings: Settings, executing: Executing, run_in_pod: RunInPod) -> Commands:
        limits = (settings.exec_member_sessions, settings.exec_sessions)
        return cls(executing, run_in_pod, *limits, settings.exec_idle_seconds, settings.exec_seconds)

    def take(self, caller: Caller, taken: ExitStack) -> None:
        """Count one more command until the stack ends; raise TrainyardError C120 where there are too many."""
        taken.enter_context(self._all.one("the service", _WHAT))
        if not caller.admin:
            taken.enter_context(self._members.one(caller.name, _WHAT))


@router.websocket("/models/{model_id}/exec")
async def run_command(socket: WebSocket, model_id: str) -> None:
    """Run one command. Who may not is refused before the websocket is there, with the error as a body."""
    commands: Commands = socket.app.state.commands
    with ExitStack() as taken:
        try:
            check_address(socket.scope)
            caller = await _caller(socket)
            commands.take(caller, taken)
            run = await run_in_threadpool(commands.executing.admit, model_id, caller)
        except TrainyardError as error:
            answer = JSONResponse({"error": error.as_dict()}, error.status, refusal_headers(error))
            return await socket.send_denial_response(answer)
        await socket.accept()
        with suppress(WebSocketDisconnect, RuntimeError):  # the latter: sent after the client went away
            ended = await _end_of(commands, socket, run, caller)
            await socket.send_bytes(bytes([RESULT]) + json.dumps(ended).encode())
            await socket.close()
    return None


async def _caller(socket: WebSocket) -> Caller:
    # As the application's own dependency says it, for tests too. Only a header counts: pages of others send cookies.
    found = socket.app.dependency_overrides.get(caller_of, caller_of)
    who = found() if found is not caller_of else found(socket)
    caller: Caller = await who if isinstance(who, Awaitable) else who
    return caller


async def _end_of(commands: Commands, socket: WebSocket, run: Run, caller: Caller) -> dict[str, Any]:
    """Run what the client asks for; return how it ended, as the last message says it."""
    executing = commands.executing
    try:
        asked = await _asked(socket)
        pod = await run_in_threadpool(executing.begin, run, caller, asked.command, asked.learner)
    except TrainyardError as error:
        return {"error": error.as_dict()}
    try:
        async with commands.run_in_pod(pod, started(asked.command), asked.stdin, asked.tty) as there:
            return await Session(commands, socket, there, run, caller, asked).end()
    except TrainyardError as error:
        await run_in_threadpool(executing.failed, run, caller, error)
        return {"error": error.as_dict()}


async def _asked(socket: WebSocket) -> Asked:
    try:
        async with asyncio.timeout(_REQUEST_SECONDS):
            return Asked.read(await socket.receive_text())
    except TimeoutError:
        raise _malformed("no command came") from None
    except KeyError:
        raise _malformed("the first message is no text") from None


class Session:
    """One command under way between a client and a pod."""

    def __init__(
        self, commands: Commands, client: WebSocket, pod: PodSocket, run: Run, caller: Caller, asked: Asked
    ) -> None:
        self._commands, self._client, self._pod = commands, client, pod
        self._run, self._caller, self._asked = run, caller, asked
        self._began = self._moved = time.monotonic()

    async def end(self) -> dict[str, Any]:
        """Pass on what comes from either side until the command has ended, or is not to go on; return how it ended.

        Raise WebSocketDisconnect where the client has left.
        """
        ways = [asyncio.ensure_future(way) for way in (self._outputs(), self._inputs(), self._watch())]
        try:
            ended, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            # Of several that end at once the command's own end counts.
            return next(way for way in ways if way in ended).result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _outputs(self) -> dict[str, Any]:
        """Pass on what the command writes; what the client does not read is not read from the cluster either."""
        while message := await self._pod.receive():
            channel, content = message[0], message[1:]
            if channel in _OUTPUT and content:
                await self._client.send_bytes(message)
                self._moved = time.monotonic()
            elif channel == RESULT:
                return self._result(content)
        return self._stopped("S200", "the cluster broke off the connection to the command", "")

    async def _inputs(self) -> dict[str, Any]:
        while True:
            message = await self._client.receive_bytes()
            if message[:1] == bytes([STDIN]) and self._asked.stdin:
                await self._pod.send(message)
                self._moved = time.monotonic()
            elif message[:1] == bytes([RESIZE]) and self._asked.tty:
                await self._pod.send(_size(message[1:]))
            elif message == END_OF_INPUT and self._asked.stdin:
                if not self._pod.ends_input:
                    hint = "Give it none: `trainyard exec -n`."
                    return self._stopped("S200", "the cluster's Kubernetes is too old to end a command's input", hint)
                await self._pod.send(message)

    async def _watch(self) -> dict[str, Any]:
        """Return once the command is not to go on: it is silent, takes too long, or is not the caller's any more."""
        limits = self._commands
        while True:
            await asyncio.sleep(limits.look_seconds)
            now = time.monotonic()
            if now - self._moved > limits.idle_seconds:
                return self._stopped("C108", f"nothing came or went for {limits.idle_seconds:.0f} seconds", _IDLE)
            if now - self._began > limits.seconds:
                return self._stopped("C108", f"the command took longer than {limits.seconds:.0f} seconds", _LONG)
            if not await run_in_threadpool(limits.executing.still, self._run, self._caller):
                return self._stopped("C108", f"the program of {self._run.model_id} has ended", "")

    def _result(self, content: bytes) -> dict[str, Any]:
        code = exit_code(content)
        if code is None:
            return self._stopped("S200", f"the cluster could not run the command: {reason(content)}", "")
        return {"exit_code": code}

    @staticmethod
    def _stopped(code: str, message: str, hint: str) -> dict[str, Any]:
        return {"error": TrainyardError(code, message, hint).as_dict()}


def _size(content: bytes) -> bytes:
    """Return the size of a terminal as the cluster takes it; raise WebSocketDisconnect for what is none."""
    try:
        size = json.loads(content)
        sides = {name: min(max(int(size[name]), 1), 65535) for name in _SIZES}
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        raise WebSocketDisconnect(1007) from None
    return bytes([RESIZE]) + json.dumps(sides).encode()


def _malformed(message: str) -> TrainyardError:
    return TrainyardError("C110", message, "See docs/rest.md.")
