"""The headers of every page: scripts and styles are files of this service, and only Airflow's own pages frame it."""

from __future__ import annotations

from trainyard.api.guards.asgi import App, Message, Receive, Scope, Send, path_of

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    # Forms of ours have to say where they come from; no other place learns it.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PageHeaders:
    """ASGI middleware that adds the headers which an answer does not set by itself; /v3 has its own."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or path_of(scope).startswith("/v3/"):
            return await self._app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                known = {name.lower() for name, _ in given}
                wanted = ((name.lower().encode(), value.encode()) for name, value in HEADERS.items())
                message = {**message, "headers": [*given, *(pair for pair in wanted if pair[0] not in known)]}
            await send(message)

        return await self._app(scope, receive, with_headers)
