"""Who looks at a page: whoever Airflow's cookie says is signed in, or whose token comes with the request."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from fastapi import Request
from starlette.responses import RedirectResponse

from trainyard.api.auth import CALLER, caller_of, caller_with
from trainyard.api.guards.asgi import App, Receive, Scope, Send, path_of, refuse
from trainyard.core.accounts import Caller
from trainyard.errors import TrainyardError

_READING = ("GET", "HEAD")
# Script and style are no secrets.
_OPEN = "/assets/"
_FRONT_DOOR = "/v3/"


class Session:
    """ASGI middleware: leaves in the scope who is calling; a page leads strangers to where Airflow signs in.

    A browser sends its cookie along whoever made it ask: a change by cookie has to come from a page of ours.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or path_of(scope).startswith(_OPEN):
            return await self._app(scope, receive, send)
        request = Request(scope)
        try:
            scope[CALLER] = await signed_in(request)
        except TrainyardError as error:
            if error.code.code == "C105" and _wants_page(request):
                return await _sign_in(request)(scope, receive, send)
            return await refuse(send, error)
        return await self._app(scope, receive, send)


async def signed_in(request: Request) -> Caller:
    """Return who sent a request, by its bearer token or else its cookie.

    Raise C105 for nobody, and C106 for a change by cookie that another site may have asked for.
    """
    if request.headers.get("authorization"):
        return await caller_of(request)
    token = request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
    if not token:
        raise TrainyardError("C105", "nobody is signed in", "Sign in to Airflow.")
    if request.method not in _READING and not from_here(request):
        raise TrainyardError("C106", "the change was not asked for by a page of this service", "Use its own pages.")
    return await caller_with(token, request)


def from_here(request: Request) -> bool:
    """Say whether a page of this very host made the request; what does not say so did not."""
    if site := request.headers.get("sec-fetch-site"):
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host", "")


def _wants_page(request: Request) -> bool:
    return request.method in _READING and not path_of(request.scope).startswith(_FRONT_DOOR)


def _sign_in(request: Request) -> RedirectResponse:
    """Lead to Airflow's own page, which leads back."""
    root = request.scope.get("root_path", "")
    query = f"?{request.url.query}" if request.url.query else ""
    back = f"{root}{path_of(request.scope)}{query}"
    airflow = root.removesuffix("/trainyard")
    return RedirectResponse(f"{airflow}/api/v2/auth/login?{urlencode({'next': back})}", 302)
