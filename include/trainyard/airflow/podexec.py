"""Commands run in a training pod: Kubernetes' exec, over the service's own connection of the cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from trainyard.cluster.environment import LEARNER
from trainyard.cluster.execution import PROTOCOLS
from trainyard.errors import TrainyardError

_CONNECT_SECONDS = 20
# What a kubelet sends at once is 32 KiB.
_MAX_MESSAGE = 4 * 1024**2
_HINT = "Those who run the cluster have to look at it; its role is in deploy/kubernetes/trainings/rights.yaml."


class PodSocket:
    """One command under way: what goes to it and comes from it, as messages of Kubernetes' channels."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    @property
    def ends_input(self) -> bool:
        """Say whether the cluster can be told that no input comes any more: Kubernetes 1.30 and later."""
        return bool(self._socket.protocol == PROTOCOLS[0])

    async def send(self, message: bytes) -> None:
        """Send a message; what the cluster does not take yet is waited for. One that is gone takes none."""
        if not self._socket.closed:
            await self._socket.send_bytes(message)

    async def receive(self) -> bytes | None:
        """Return the next message, None once the cluster has closed the connection."""
        from aiohttp import WSMsgType

        while (message := await self._socket.receive()).type in (WSMsgType.BINARY, WSMsgType.TEXT):
            if message.data:
                return message.data if isinstance(message.data, bytes) else message.data.encode()
        return None


@asynccontextmanager
async def run_in_pod(
    connection: str, namespace: str, pod: str, command: Sequence[str], stdin: bool, tty: bool
) -> AsyncIterator[PodSocket]:
    """Start a command in the container of a training pod. Raise TrainyardError S200 where the cluster refuses it."""
    from aiohttp import ClientError, WSServerHandshakeError
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
    from kubernetes_asyncio.client import CoreV1Api

    async with AsyncKubernetesHook(conn_id=connection).get_conn() as usual, _client(usual.configuration) as client:
        how: dict[str, Any] = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
        asked = {"container": LEARNER, "command": list(command), **how, "_preload_content": False}
        try:
            opening: Any = await CoreV1Api(client).connect_get_namespaced_pod_exec(pod, namespace, **asked)
            socket = await opening
        except WSServerHandshakeError as error:
            message = f"the cluster refused to run a command in the pod: {error.status} {error.message}"
            raise TrainyardError("S200", message, _HINT) from None
        except (ClientError, OSError, TimeoutError) as error:
            raise TrainyardError("S200", f"the Kubernetes API does not answer: {type(error).__name__}", _HINT) from None
        try:
            yield PodSocket(socket)
        finally:
            await socket.close()


def _client(configuration: Any) -> Any:
    """Return a client whose requests become websockets that say what both sides speak, and hold little unread."""
    from kubernetes_asyncio.stream import WsApiClient
    from kubernetes_asyncio.stream.ws_client import get_websocket_url

    class Client(WsApiClient):
        async def request(
            self, method: str, url: str, query_params: Any = None, headers: Any = None, *_: Any, **__: Any
        ) -> Any:
            return self.rest_client.pool_manager.ws_connect(
                get_websocket_url(url),
                params=[(name, each) for name, value in query_params for each in _each(value)],
                headers=headers,
                proxy=self.rest_client.proxy,
                proxy_headers=self.rest_client.proxy_headers,
                protocols=PROTOCOLS,
                max_msg_size=_MAX_MESSAGE,
            )

    return Client(configuration=configuration)


def _each(value: Any) -> Sequence[str]:
    return [_text(each) for each in value] if isinstance(value, list) else [_text(value)]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
