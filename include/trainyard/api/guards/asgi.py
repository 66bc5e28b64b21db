"""The few parts of ASGI that the guards share: headers of a request, its path, and an answer without a route."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette._utils import get_route_path

from trainyard.errors import TrainyardError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# A body that was not read to its end is not read at all: the connection ends with the answer.
CLOSE = {"Connection": "close"}
CLOSED_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
# What every answer of ours has that is no page.
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": CLOSED_POLICY,
    "Cache-Control": "no-store",
}


def header(scope: Scope, name: bytes) -> str:
    """Return the first header of that (lower-case) name, or an empty text."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def path_of(scope: Scope) -> str:
    """Return the path below the place where the application is mounted."""
    # As the router itself takes it apart: what a guard looks at has to be what is routed.
    return get_route_path(scope)


def refusal_headers(error: TrainyardError) -> dict[str, str]:
    """Return the headers that an error's answer has besides its body."""
    if error.retry_after is None:
        return {}
    return {"Retry-After": str(error.retry_after)}


async def refuse(send: Send, error: TrainyardError, **more: Any) -> None:
    """Answer with an error and end the connection; `more` goes beside the error, for clients of other families."""
    body = json.dumps({"error": error.as_dict(), **more}).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **SECURITY,
        **CLOSE,
        **refusal_headers(error),
    }
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
