"""ASGI middleware over Airflow's whole api-server: what its first request would wait for is done before it listens."""

from __future__ import annotations

import logging
from typing import Any

from trainyard.api.guards.asgi import App, Message, Receive, Scope, Send

log = logging.getLogger(__name__)
# The execution API makes the routes of all its versions at the first request of a step: 5 s of a processor, in which
# the server answers nobody.
_PATH = "/execution/health"
_REQUEST: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": _PATH,
    "raw_path": _PATH.encode(),
    "query_string": b"",
    "root_path": "",
    "headers": [],
    "client": None,
    "server": None,
}


class WarmStart:
    """Asks the execution API for its health when the server starts, whatever it answers."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await self._app(scope, receive, send)

        async def warmed(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._ask(scope)
            await send(message)

        return await self._app(scope, receive, warmed)

    async def _ask(self, scope: Scope) -> None:
        known = {name: scope[name] for name in ("app", "state") if name in scope}
        try:
            await self._app({**_REQUEST, **known}, _nothing, _unheard)
        except Exception:  # a server that is slow once is better than none
            log.warning("The execution API could not be prepared: its first request will take seconds", exc_info=True)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _unheard(_: Message) -> None:
    """Take the answer, which nobody waits for."""
