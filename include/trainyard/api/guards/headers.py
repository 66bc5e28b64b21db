"""Security headers on every answer, also on errors and streams."""

from __future__ import annotations

from trainyard.api.guards.asgi import CLOSED_POLICY, SECURITY, App, Message, Receive, Scope, Send, path_of

# Swagger UI sets styles of its own and draws its signs as data; its scripts are files of this service.
_DOCS = (
    f"{CLOSED_POLICY}; connect-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:"
)
_PAGES = ("/docs",)


def security_headers(path: str) -> dict[str, str]:
    """Return the headers for an answer at a path below /v3."""
    return {**SECURITY, "Content-Security-Policy": _DOCS} if path in _PAGES else SECURITY


class SecurityHeaders:
    """ASGI middleware that adds the headers which an answer does not set by itself."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        wanted = {name.lower().encode(): value.encode() for name, value in security_headers(path_of(scope)).items()}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                known = {name.lower() for name, _ in given}
                missing = [(name, value) for name, value in wanted.items() if name not in known]
                message = {**message, "headers": [*given, *missing]}
            await send(message)

        return await self._app(scope, receive, with_headers)
