"""The door: whoever shows the token comes in, anyone may ask whether the cluster is up."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from localkube.status import ApiError

OPEN_PATHS = ("/healthz", "/livez", "/readyz")


class BearerAuth:
    """Wraps an application so that requests and websockets without the token get a 401."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS or self._is_known(scope):
            await self._app(scope, receive, send)
            return
        error = ApiError(401, "Unauthorized", "Unauthorized")
        await JSONResponse(error.body(), error.status)(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        shown = Headers(scope=scope).get("authorization", "").encode("latin-1")
        return hmac.compare_digest(shown, self._expected)
