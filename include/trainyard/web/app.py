"""The pages: an app that the plugin mounts at /trainyard in Airflow's api-server, with the front door below it."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from trainyard.api.guards.asgi import refusal_headers
from trainyard.errors import TrainyardError
from trainyard.web import actions, again, compare, files, listing, notify, runs, searches, state, stored, submitting
from trainyard.web.headers import HEADERS, PageHeaders
from trainyard.web.rendering import ASSETS, page
from trainyard.web.session import Session

log = logging.getLogger(__name__)


def create_pages(front_door: FastAPI) -> FastAPI:
    """Build the pages over the parts of a front door, which they call as its routes do.

    The front door itself is below /v3 here too: what a script of a page asks for comes by the session of the page.
    """
    app = FastAPI(title="Trainyard's pages", docs_url=None, redoc_url=None, openapi_url=None)
    app.state = front_door.state
    app.state.checking = submitting.checks_limiter()
    for part in (listing, runs, files, compare, searches, stored, submitting, state, actions, again, notify):
        app.router.routes.extend(part.router.routes)  # as they are, as the front door takes its own
    app.add_api_route("/assets/{digest}/{name}", _asset)
    app.mount("/v3", front_door)
    app.add_exception_handler(TrainyardError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _unservable)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Session)
    app.add_middleware(PageHeaders)
    for name in ASSETS.missing():
        log.warning("%s is not installed: pages do without. Run `make setup`, or build the image again", name)
    return app


def _asset(digest: str, name: str) -> FileResponse:
    return ASSETS.answer(digest, name)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, TrainyardError)
    answer = page(request, "error.html", error.status, error=error)
    answer.headers.update(refusal_headers(error))
    return answer


async def _malformed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - what was sent is not repeated
    reported = TrainyardError("C110", "the address has values that this page does not take", "Go back and try again.")
    return await _refused(request, reported)


async def _unservable(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "C107" if error.status_code == 404 else "C110"
    message = "there is nothing at this path" if error.status_code == 404 else error.detail.rstrip(".")
    return page(request, "error.html", error.status_code, error=TrainyardError(code, message, "Go back to the list."))


async def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the server logs it
    """Answer what nobody foresaw; this answer is made outside of all middleware, so that it brings its headers."""
    reported = TrainyardError("S500", "the service failed", "Try again; if it stays so, ask whoever runs the service.")
    answer = page(request, "error.html", 500, error=reported)
    answer.headers.update(HEADERS)
    return answer
