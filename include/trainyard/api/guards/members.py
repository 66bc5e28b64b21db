"""Holds members to the positive list of `airflow/access.py` in front of Airflow's own API, and all to our run ids."""

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
from starlette.concurrency import run_in_threadpool

from trainyard.airflow.access import READING, Body, check_run_id, member_permit
from trainyard.airflow.authmanager import CHANGE_PERMITTED, is_admin
from trainyard.airflow.endstates import ENDED_RUN
from trainyard.api.auth import USER
from trainyard.api.guards.asgi import App, Receive, Scope, Send, path_of, refuse
from trainyard.api.guards.bodies import Bounds, whole_body
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError
from trainyard.settings import Settings

# Mounted beside Airflow's API, each with rules of its own: task processes, signing in, the front door, pages, files.
_ELSEWHERE = ("/execution/", "/auth/", "/v3/", "/trainyard/", "/static/")


class MemberGuard:
    """ASGI middleware around Airflow's whole app.

    The auth manager lets a member change nothing that has not passed here: without the guard members only read.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._bounds = Bounds(settings.airflow_request_max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or path_of(scope).startswith(_ELSEWHERE):
            return await self._app(scope, receive, send)
        permitted = CHANGE_PERMITTED.set(False)
        try:
            receive = await self._checked(scope, receive)
            return await self._app(scope, receive, send)
        except TrainyardError as error:
            # In the shape of Airflow's own refusals, too, which its pages show.
            return await refuse(send, error, detail=f"{error.message[:1].upper()}{error.message[1:]}. {error.hint}")
        finally:
            CHANGE_PERMITTED.reset(permitted)

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """Raise TrainyardError for a request that is not permitted; return what its body is read from again."""
        method, path = scope["method"], path_of(scope)
        fields: Body = {}
        try:
            user = await user_of(scope)
        except HTTPException:  # Airflow refuses it itself
            return receive
        if method not in READING:
            body, receive = await whole_body(scope, receive, self._bounds)
            fields = _fields(body or b"")
            check_run_id(method, path, fields)
        if not is_admin(get_auth_manager(), user):
            permit = member_permit(method, path, fields)
            CHANGE_PERMITTED.set(True)
            if permit.ended:
                await run_in_threadpool(_check_ended, permit.ended, user)
        return receive


async def user_of(scope: Scope) -> Any:
    """Return who asks, as Airflow itself will find it; raise its HTTPException for nobody that it knows."""
    if USER not in scope:
        request = Request(scope)
        scope[USER] = await get_user(request, None, await bearer_scheme(request))
    return scope[USER]


def _check_ended(run: RunKey, user: Any) -> None:
    """Raise TrainyardError C108 for a run of the user's that has not ended; of any other Airflow says what it may."""
    if not get_auth_manager().is_authorized_dag(method="PUT", user=user, details=DagDetails(id=run.training_id)):
        return
    those = select(DagRun.id).where(DagRun.dag_id == run.training_id, DagRun.run_id == run.model_id)
    with create_session() as session:
        if session.scalar(those.where(DagRun.state.not_in(ENDED_RUN))) is not None:
            hint = "Wait until it has ended, or cancel it with `trainyard cancel`."
            raise TrainyardError("C108", f"{run.model_id} is still going", hint)


def _fields(body: bytes) -> Body:
    """Read a body as Airflow will; one that is no JSON object has no fields, and Airflow refuses it."""
    try:
        found = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
