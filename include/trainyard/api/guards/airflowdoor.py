"""ASGI middleware over Airflow's whole api-server: no body is kept in memory that is large, slow or from a stranger.

Airflow reads a body whole before it looks at the token. The front door at /v3, which our pages have at /trainyard/v3
too, has a guard of its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import HTTPException
from jwt import InvalidTokenError

from trainyard.api.guards.asgi import App, Receive, Scope, Send, header, path_of, refuse
from trainyard.api.guards.bodies import Bounds, has_body, whole_body
from trainyard.api.guards.members import user_of
from trainyard.api.guards.texts import check_address, check_body
from trainyard.errors import TrainyardError
from trainyard.settings import Settings

# What tasks say to the execution API, up to here without a look at their token; XComs of other DAGs may be larger.
_TASKS_SMALL = 64 * 1024
_TASKS_BYTES = 16 * 1024 * 1024
_SIGN_IN = "Sign in first."


class AirflowDoor:
    """Refuses bodies beyond the bounds, before the token where there is one to look at, and unstorable texts."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._bounds = Bounds(settings.airflow_request_max_bytes)
        self._tasks = Bounds(max(_TASKS_BYTES, settings.airflow_request_max_bytes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_front_door(path_of(scope)):
            return await self._app(scope, receive, send)
        try:
            check_address(scope)
            if has_body(scope):
                receive = await self._bounded(scope, receive)
        except TrainyardError as error:
            return await refuse(send, error, detail=f"{error.message[:1].upper()}{error.message[1:]}.")
        return await self._app(scope, receive, send)

    async def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        path = path_of(scope)
        from_task = _below(path, "/execution")
        bounds = self._tasks if from_task else self._bounds
        bounds.check_announced(scope)
        if from_task and not _is_small(scope):
            await _check_task(scope)
        elif any(_below(path, ours) for ours in ("/api", "/ui", "/trainyard")):
            await _check_user(scope)
        body, receive = await whole_body(scope, receive, bounds)
        if body is not None and not from_task:
            check_body(body, header(scope, b"content-type"))
        return receive


def _is_front_door(path: str) -> bool:
    return _below(path, "/v3") or _below(path, "/trainyard/v3")


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _is_small(scope: Scope) -> bool:
    length = header(scope, b"content-length")
    return not header(scope, b"transfer-encoding") and length.isdecimal() and int(length) <= _TASKS_SMALL


async def _check_user(scope: Scope) -> None:
    """Raise TrainyardError C105 unless a token of Airflow's comes with the request, as a header or in the cookie."""
    try:
        await user_of(scope)
    except HTTPException:
        raise TrainyardError("C105", "not authenticated", _SIGN_IN) from None


async def _check_task(scope: Scope) -> None:
    try:
        await _task_tokens().avalidated_claims(_bearer(scope))
    except InvalidTokenError:
        raise TrainyardError("C105", "not authenticated", _SIGN_IN) from None


@cache
def _task_tokens() -> Any:
    """Return what checks the tokens of tasks, made as the execution API makes its own."""
    from airflow.api_fastapi.auth.tokens import JWTValidator, get_sig_validation_args
    from airflow.configuration import conf

    return JWTValidator(
        required_claims=frozenset(("aud", "exp", "iat")),
        audience=conf.get_mandatory_list_value("execution_api", "jwt_audience"),
        **get_sig_validation_args(make_secret_key_if_needed=False),
    )


def _bearer(scope: Scope) -> str:
    scheme, _, token = header(scope, b"authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
