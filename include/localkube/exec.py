"""Commands run inside a container, over a websocket: `kubectl exec` and the operator's reading of XCom."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from localkube import records, runtime
from localkube.config import ClusterConfig
from localkube.mounts import PATHS
from localkube.objects import Key, Obj
from localkube.podlog import chosen_container
from localkube.rewriting import rewriter
from localkube.status import ApiError, bad_request
from localkube.store import Store
from localkube.terminal import Terminal

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _RESULT, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_HELPER = "localkube.enter"
_DRAIN_SECONDS = 1.0
_XCOM_SIDECAR = "airflow-xcom-sidecar"


class PodExec:
    def __init__(self, store: Store, config: ClusterConfig) -> None:
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
        # Airflow stops its sidecar with `kill -2 $(pgrep -u $(id -u) -f 'sh')`. Containers are processes of this
        # machine: run here, it would interrupt every shell of the user. So it is understood, and not run.
        kind = SidecarStop if container == _XCOM_SIDECAR and command == ["/bin/sh"] else Session
        return kind(socket, folder, pid, command)


class Session:
    """One command under way."""

    def __init__(self, socket: WebSocket, folder: Path, pid: int, command: list[str]) -> None:
        self.socket = socket
        self.folder = folder
        self.pid = pid
        self.command = command
        self.wants_stdin = self._flag("stdin")
        self.terminal = Terminal() if self._flag("tty") else None

    def _flag(self, name: str) -> bool:
        return self.socket.query_params.get(name, "").lower() in ("1", "true")

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
            await self.send_result(ended.result())
        finally:
            inputs.cancel()
            outputs.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if self.terminal:
                self.terminal.close()

    async def _spawn(self) -> asyncio.subprocess.Process:
        spec = records.read(str(self.folder), records.SPEC) or {}
        command = [rewriter(spec["mounts"])(word) for word in self.command] if _is_rewritten(spec) else self.command
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        terminal = self.terminal.inner if self.terminal else None
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-P", "-m", _HELPER, str(self.folder), str(self.pid), *command),
            env=runtime.shim_environment(),
            stdin=terminal or (pipe if self.wants_stdin else nothing),
            stdout=terminal or pipe,
            stderr=terminal or pipe,
            start_new_session=True,
        )
        if self.terminal:
            self.terminal.give_away()
        return process

    async def _send_outputs(self, process: asyncio.subprocess.Process) -> None:
        if self.terminal:
            async for chunk in self.terminal.output():
                await self._send(_STDOUT, chunk)
            return
        streams = ((process.stdout, _STDOUT), (process.stderr, _STDERR))
        await asyncio.gather(*(self._pump(stream, channel) for stream, channel in streams if stream))

    async def _pump(self, stream: asyncio.StreamReader, channel: int) -> None:
        while chunk := await stream.read(32768):
            await self._send(channel, chunk)

    async def _take_inputs(self, process: asyncio.subprocess.Process) -> None:
        """Pass the client's messages on until it goes away."""
        while (message := await self.receive()) is not None:
            channel, content = message[0], message[1:]
            if channel == _RESIZE and self.terminal:
                self.terminal.resize(content)
            elif channel == _STDIN and self.terminal:
                self.terminal.write(content)
            elif channel == _STDIN and process.stdin:
                with suppress(ConnectionError):
                    process.stdin.write(content)
                    await process.stdin.drain()
            elif channel == _CLOSE and process.stdin:
                process.stdin.close()

    async def receive(self) -> bytes | None:
        """Return the client's next message that is not empty, None once it went away."""
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            if content := message.get("bytes") or (message.get("text") or "").encode():
                return content

    async def _send(self, channel: int, content: bytes) -> None:
        await self.socket.send_bytes(bytes([channel]) + content)

    async def send_result(self, exit_code: int) -> None:
        await self._send(_RESULT, json.dumps(_result(exit_code)).encode())


class SidecarStop(Session):
    """Airflow's wish to stop its XCom sidecar, fulfilled by an interrupt to the sidecar itself."""

    async def run(self) -> None:
        if await self.receive() is not None:
            runtime.send(self.folder, signal.SIGINT)
            await self.send_result(0)


def _is_rewritten(spec: Obj) -> bool:
    return spec.get("isolation") == PATHS


def _result(exit_code: int) -> Obj:
    if exit_code == 0:
        return {"metadata": {}, "status": "Success"}
    code = exit_code if exit_code > 0 else 128 - exit_code
    message = f"command terminated with non-zero exit code: exit status {code}"
    details = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
    return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": details}
