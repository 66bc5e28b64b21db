"""The front door: a FastAPI app that a plugin mounts at /v3 in Airflow's api-server."""

from __future__ import annotations

from functools import partial

from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from trainyard.airflow.app import App, current_app
from trainyard.api import (
    archive,
    audit,
    commands,
    datasets,
    definitions,
    diffs,
    docs,
    doctor,
    experiments,
    housekeeping,
    livefiles,
    logs,
    metrics,
    models,
    notify,
    objects,
    quota,
    results,
    schedules,
    schemas,
    searches,
    secrets,
    stores,
    summaries,
)
from trainyard.api.guards.asgi import path_of, refusal_headers
from trainyard.api.guards.bodies import BodyRefused
from trainyard.api.guards.door import Door
from trainyard.api.guards.headers import SecurityHeaders, security_headers
from trainyard.api.openapi import documented
from trainyard.api.storerequests import StoreRequests
from trainyard.core.deleting import Deleting
from trainyard.doctor.checks import findings
from trainyard.errors import Problem, TrainyardError

_SUBMISSIONS_AT_ONCE = 2
_COMPARISONS_AT_ONCE = 2
_PARTS = (
    models,
    diffs,
    definitions,
    experiments,
    logs,
    commands,
    metrics,
    summaries,
    results,
    archive,
    livefiles,
    quota,
    datasets,
    housekeeping,
    schedules,
    searches,
    secrets,
    stores,
    objects,
    notify,
    doctor,
    audit,
    schemas,
    docs,
)


def create_app(parts: App | None = None) -> FastAPI:
    """Build the app over the service's parts, by default this process's own."""
    parts = parts or current_app()
    description = "Submit a manifest and a zip, get back a trained model."
    # FastAPI's own pages load their scripts from a network of copies.
    app = FastAPI(title="Trainyard", version="3", description=description, docs_url=None, redoc_url=None)
    app.state.settings = parts.settings
    app.state.service = parts.service
    app.state.deleting = Deleting(parts.service)
    app.state.quotas = parts.quotas
    app.state.budgets = parts.budgets
    app.state.datasets = parts.datasets
    app.state.documents = parts.documents
    app.state.experiment_runs = parts.experiment_runs
    app.state.housekeeper = parts.housekeeper
    app.state.owners = parts.owners
    app.state.retraining = parts.retraining
    app.state.starting = parts.starting
    app.state.searching = parts.searching
    app.state.notifications = parts.notifications
    app.state.rerunning = parts.rerunning
    app.state.submitting = CapacityLimiter(_SUBMISSIONS_AT_ONCE)
    app.state.comparing = CapacityLimiter(_COMPARISONS_AT_ONCE)
    app.state.secrets = parts.secrets
    app.state.stores = parts.stores
    app.state.objects = parts.objects
    app.state.open_store = parts.open_own_store
    app.state.trail = parts.trail
    app.state.metrics = parts.live_metrics
    app.state.live_files = parts.live_files
    app.state.commands = commands.Commands.of(parts.settings, parts.executing, parts.run_in_pod)
    app.state.store_requests = StoreRequests.of(app.state.settings)
    app.state.doctor = partial(findings, app=parts)
    for part in _PARTS:
        # As they are: to include the router would be to analyse each of its routes a second time.
        app.router.routes.extend(part.router.routes)
    described = app.openapi
    app.openapi = lambda: documented(described())  # type: ignore[method-assign]
    app.add_exception_handler(TrainyardError, _refusal)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _unservable)
    app.add_exception_handler(Exception, _failed)
    # The later one is the outer one: what the guard refuses has the headers too.
    app.add_middleware(Door, settings=app.state.settings)
    app.add_middleware(SecurityHeaders)
    return app


async def _refusal(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TrainyardError)
    return JSONResponse({"error": error.as_dict()}, error.status, refusal_headers(error))


async def _failed(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - the server logs it
    """Answer what nobody foresaw; this answer is made outside of all middleware, so that it brings its headers."""
    failure = TrainyardError("S500", "the service failed", "Try again; if it stays so, ask whoever runs the service.")
    return JSONResponse({"error": failure.as_dict()}, failure.status, security_headers(path_of(request.scope)))


async def _unservable(_: Request, error: Exception) -> JSONResponse:
    """Answer in our own error family what never reaches a route: a torn body, a path or a verb that is not there."""
    assert isinstance(error, HTTPException)
    if isinstance(error, BodyRefused):
        return JSONResponse({"error": error.error.as_dict()}, error.status_code, error.headers)
    code, message = ("C107", "there is nothing at this path") if error.status_code == 404 else ("C110", error.detail)
    reported = TrainyardError(code, message.rstrip("."), "See /v3/docs.")
    return JSONResponse({"error": reported.as_dict()}, error.status_code, error.headers)


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    """Answer a request of the wrong shape in our own error family; the values sent are not repeated."""
    assert isinstance(error, RequestValidationError)
    problems = [
        Problem(f"{fault['msg']}.", "See /v3/docs.", ".".join(map(str, fault["loc"])), code="C110")
        for fault in error.errors()
    ]
    return await _refusal(request, TrainyardError("C110", "the request is malformed", "See /v3/docs.", problems))
