"""/v3/models/{id}/summaries: the TensorBoard summaries of a run that is going, as its program writes them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from trainyard.answers.runs import StoredPage
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.streams import AS_IT_IS, asked_from
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import about
from trainyard.core.livemetrics import LiveMetrics
from trainyard.core.runs import Run
from trainyard.core.service import Service
from trainyard.errors import TrainyardError

router = APIRouter()
MAX_BYTES = 4 * 1024 * 1024


@router.get(
    "/models/{model_id}/summaries",
    summary="List the TensorBoard summaries of a run that is going",
    **answers(StoredPage),
    responses=refusals(400, 404),
)
def summaries(request: Request, caller: CallerDep, model_id: str) -> dict[str, Any]:
    """List the event files of a run that is going, with their sizes in bytes now; none of one that has ended.

    An ended run has them among its results.
    """
    service, live = _parts(request)
    found = live.summaries(service.run(model_id, caller))
    return {"model_id": model_id, "resources": [{"name": name, "size": size} for name, size in found.items()]}


@router.get(
    "/models/{model_id}/summaries/{name:path}",
    summary="Read a summary of a run that is going",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "What is written of it, 4 MiB at most"},
        206: {
            "content": {"application/octet-stream": {}},
            "description": "What has come since, at most as much",
        },
        **refusals(400, 404),
    },
)
def summary(request: Request, caller: CallerDep, model_id: str, name: str) -> Response:
    """Return what is written of one event file; `Range: bytes=N-` goes on from there, empty where nothing is new."""
    start = asked_from(request)
    service, live = _parts(request)
    run = service.run(model_id, caller)
    data = live.summary(run, name, start, MAX_BYTES)
    if data is None:
        hint = "Its summaries' listing says what there is."
        raise TrainyardError("C107", f"{model_id} has no summary of that name", hint)
    if not start:  # who follows a file asks for it again and again
        _record(service, caller, run, name)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **AS_IT_IS}
    return Response(data, 206 if start else 200, headers, "application/octet-stream")


def _record(service: Service, caller: Any, run: Run, name: str) -> None:
    service.audit.record(caller, Action.READ_RESULT, **about(run), details={"name": name})


def _parts(request: Request) -> tuple[Service, LiveMetrics]:
    return request.app.state.service, request.app.state.metrics
