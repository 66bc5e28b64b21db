"""Commands run inside a container, over a websocket, as `kubectl exec` asks for them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from localkube import records, runtime
from localkube.config import Config
from localkube.containerspec import rewriter
from localkube.errors import ApiError, bad_request
from localkube.mounts import PATHS
from localkube.objects import Key, Obj
from localkube.podlog import chosen_container
from localkube.store import Store

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _RESULT, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_HELPER = "localkube.enter"
_DRAIN_SECONDS = 1.0


class PodExec:
    """Serves `…/pods/NAME/exec`."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

    async def serve(self, socket: WebSocket) -> None:
        """Run the command that the socket's query names, and pass its input and output along."""
        try:
            session = self._session(socket)
        except ApiError as error:
            await socket.send_denial_response(JSONResponse(error.body(), error.status))
            return
        offered = socket.scope.get("subprotocols", [])
        await socket.accept(subprotocol=next((name for name in _PROTOCOLS if name in offered), None))
        with suppress(WebSocketDisconnect, RuntimeError):  # RuntimeError: sent after the client went away
            await session.run()
            await socket.close()

    def _session(self, socket: WebSocket) -> Session:
        namespace, name = socket.path_params["namespace"], socket.path_params["name"]
        pod = self._store.get(Key("pods", namespace, name))
        container = chosen_container(pod, socket.query_params.get("container", ""))
        folder = self._config.pod(pod["metadata"]["uid"]).container(container)
        pid = runtime.main_process(folder)
        command = socket.query_params.getlist("command")
        if pid is None:
            raise bad_request(f'container "{container}" of pod "{name}" is not running')
        if not command:
            raise bad_request("you must specify at least 1 command for the container")
        return Session(socket, folder, pid, command)


class Session:
    """One command under way."""

    def __init__(self, socket: WebSocket, folder: Path, pid: int, command: list[str]) -> None:
        self._socket = socket
        self._folder = folder
        self._pid = pid
        self._command = command
        self._wants_stdin = self._flag("stdin")
        self._terminal = Terminal() if self._flag("tty") else None

    def _flag(self, name: str) -> bool:
        return self._socket.query_params.get(name, "").lower() in ("1", "true")

    async def run(self) -> None:
        process = await self._spawn()
        outputs = asyncio.ensure_future(self._send_outputs(process))
        inputs = asyncio.ensure_future(self._take_inputs(process))
        try:
            ended = asyncio.ensure_future(process.wait())
            await asyncio.wait({ended, inputs}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                return  # the client has gone
            # Something it left behind may hold the output open.
            await asyncio.wait({outputs}, timeout=_DRAIN_SECONDS)
            await self._send_result(ended.result())
        finally:
            inputs.cancel()
            outputs.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if self._terminal:
                self._terminal.close()

    async def _spawn(self) -> asyncio.subprocess.Process:
        spec = records.read(str(self._folder), records.SPEC) or {}
        rewrite = rewriter(spec["mounts"] if spec["isolation"] == PATHS else [])
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        terminal = self._terminal.inner if self._terminal else None
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-P", "-m", _HELPER, str(self._folder), str(self._pid)),
            *map(rewrite, self._command),
            env=runtime.shim_environment(),
            stdin=terminal or (pipe if self._wants_stdin else nothing),
            stdout=terminal or pipe,
            stderr=terminal or pipe,
            start_new_session=True,
        )
        if self._terminal:
            self._terminal.give_away()
        return process

    async def _send_outputs(self, process: asyncio.subprocess.Process) -> None:
        if self._terminal:
            async for chunk in self._terminal.output():
                await self._send(_STDOUT, chunk)
            return
        streams = ((process.stdout, _STDOUT), (process.stderr, _STDERR))
        await asyncio.gather(*(self._pump(stream, channel) for stream, channel in streams if stream))

    async def _pump(self, stream: asyncio.StreamReader, channel: int) -> None:
        while chunk := await stream.read(32768):
            await self._send(channel, chunk)

    async def _take_inputs(self, process: asyncio.subprocess.Process) -> None:
        """Pass the client's messages on until it goes away."""
        while (message := await self._receive()) is not None:
            channel, content = message[0], message[1:]
            if channel == _RESIZE and self._terminal:
                self._terminal.resize(content)
            elif channel == _STDIN and self._terminal:
                self._terminal.write(content)
            elif channel == _STDIN and process.stdin:
                with suppress(ConnectionError):
                    process.stdin.write(content)
                    await process.stdin.drain()
            elif channel == _CLOSE and process.stdin:
                process.stdin.close()

    async def _receive(self) -> bytes | None:
        """Return the client's next message that is not empty, None once it went away."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            if content := message.get("bytes") or (message.get("text") or "").encode():
                return content

    async def _send(self, channel: int, content: bytes) -> None:
        await self._socket.send_bytes(bytes([channel]) + content)

    async def _send_result(self, exit_code: int) -> None:
        await self._send(_RESULT, json.dumps(_result(exit_code)).encode())


def _result(exit_code: int) -> Obj:
    if exit_code == 0:
        return {"metadata": {}, "status": "Success"}
    code = exit_code if exit_code > 0 else 128 - exit_code
    message = f"command terminated with non-zero exit code: exit status {code}"
    details = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
    return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": details}


class Terminal:
    """A pseudo-terminal for `kubectl exec -it`.

    `inner` is the command's end, until it is given away; this process keeps the other.
    """

    def __init__(self) -> None:
        self._outer, self.inner = os.openpty()
        os.set_blocking(self._outer, False)

    def give_away(self) -> None:
        """Close the command's end here, so that the output ends with the command."""
        os.close(self.inner)

    def close(self) -> None:
        os.close(self._outer)

    def write(self, content: bytes) -> None:
        while content:
            try:
                content = content[os.write(self._outer, content) :]
            except BlockingIOError:  # a command that reads nothing loses what is typed beyond the terminal's buffer
                return

    def resize(self, content: bytes) -> None:
        """Take over the size of the client's window, as the protocol's JSON gives it."""
        try:
            size = json.loads(content)
            packed = struct.pack("HHHH", int(size["Height"]), int(size["Width"]), 0, 0)
        except (ValueError, KeyError, TypeError, struct.error):
            return
        fcntl.ioctl(self._outer, termios.TIOCSWINSZ, packed)

    async def output(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._outer, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                try:
                    yield os.read(self._outer, 32768)
                except BlockingIOError:  # read before the loop's second call for the same output
                    continue
                except OSError:  # the command's end was closed by the last that had it
                    return
        finally:
            loop.remove_reader(self._outer)
