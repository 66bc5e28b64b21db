"""Holds members to the positive list of `access.py` in front of Airflow's own API, and everybody to our run ids."""

from __future__ import annotations

import json
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from fastapi import HTTPException, Request
from sqlalchemy import select
from starlette._utils import get_route_path
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trainyard.airflow.access import READING, Body, check_run_id, member_permit
from trainyard.airflow.authmanager import CHANGE_PERMITTED, is_admin
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError

MAX_BODY_BYTES = 1024 * 1024
# Mounted beside Airflow's API, each with rules of its own: task processes, signing in, the front door, files.
_ELSEWHERE = ("/execution/", "/auth/", "/v3/", "/static/")
_ENDED = ("success", "failed")


class AccessGuard:
    """ASGI middleware around Airflow's whole app.

    The auth manager lets a member change nothing that has not passed here: without the guard members only read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or get_route_path(scope).startswith(_ELSEWHERE):
            await self._app(scope, receive, send)
            return
        permitted = CHANGE_PERMITTED.set(False)
        try:
            receive = await self._check(scope, receive)
            await self._app(scope, receive, send)
        except TrainyardError as error:
            # In the shape of Airflow's own refusals, which its pages show.
            answer = JSONResponse({"detail": f"{error.message}. {error.cure}", "code": error.code.code}, error.status)
            await answer(scope, receive, send)
        finally:
            CHANGE_PERMITTED.reset(permitted)

    async def _check(self, scope: Scope, receive: Receive) -> Receive:
        """Raise TrainyardError for a request that is not permitted; return what its body is read from again."""
        method, path = scope["method"], get_route_path(scope)
        try:
            user = await _user(scope)
        except HTTPException:  # Airflow refuses it itself
            return receive
        admin, body = is_admin(get_auth_manager(), user), b""
        if method not in READING:
            body = await _read(receive)
            receive = _again(body, receive)
            check_run_id(method, path, _data(body))
        if not admin:
            permit = member_permit(method, path, _data(body))
            CHANGE_PERMITTED.set(True)
            if permit.ended:
                await run_in_threadpool(_check_ended, permit.ended, user)
        return receive


async def _user(scope: Scope) -> Any:
    request = Request(scope)
    return await get_user(request, None, await bearer_scheme(request))


def _check_ended(run: RunKey, user: Any) -> None:
    """Raise TrainyardError C108 for a run of the user's that has not ended; of any other Airflow says what it may."""
    if not get_auth_manager().is_authorized_dag(method="PUT", user=user, details=DagDetails(id=run.training_id)):
        return
    those = select(DagRun.id).where(DagRun.dag_id == run.training_id, DagRun.run_id == run.model_id)
    with create_session() as session:
        if session.scalar(those.where(DagRun.state.not_in(_ENDED))) is not None:
            hint = "Wait until it has ended, or cancel it with `trainyard cancel`."
            raise TrainyardError("C108", f"{run.model_id} is still going", hint)


async def _read(receive: Receive) -> bytes:
    """Read a request's body, which has to be small; raise TrainyardError C109 for any other."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            raise TrainyardError("C109", f"the request is larger than {MAX_BODY_BYTES} bytes", "Send less at a time.")
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, and then what comes after it."""
    message: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def given() -> Message:
        nonlocal message
        first, message = message, None
        return first or await receive()

    return given


def _data(body: bytes) -> Body:
    """Read a body as Airflow will; one that is no JSON object has no fields, and Airflow refuses it."""
    try:
        found = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
