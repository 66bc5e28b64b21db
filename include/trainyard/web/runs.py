"""The page of a run: what it is, how it goes or ended, its curves; its log, manifest and steps on tabs."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from trainyard.api.logs import log_of, read_log, start_of_last_lines
from trainyard.api.schedules import schedule_json
from trainyard.core.catalogue import Training
from trainyard.core.runs import Run
from trainyard.core.service import Service
from trainyard.domain.states import State
from trainyard.errors import TrainyardError
from trainyard.web.phases import phases_of
from trainyard.web.rendering import caller, page
from trainyard.web.rows import row_of
from trainyard.web.visible import log_text

router = APIRouter()
_LINES_OF_A_FAILURE = 15
_LINES = 1000
_MAX_LOG_BYTES = 1024 * 1024
# A store that is slow must not keep the reason of a failure back.
_PATIENCE_SECONDS = 3.0


@router.get("/runs/{model_id}", response_class=HTMLResponse)
async def overview(request: Request, model_id: str, part: Annotated[str, Query(max_length=10)] = "") -> HTMLResponse:
    """Show a run; `part=live` is what changes of the page alone."""
    values = await run_in_threadpool(_described, request, model_id)
    run: Run = values["run"]
    ended = run.state is State.ERROR and not part
    values["last_lines"] = await _last_lines(request, model_id) if ended else ""
    return page(request, "run_live.html" if part == "live" else "run.html", **values)


@router.get("/runs/{model_id}/log", response_class=HTMLResponse)
async def log(request: Request, model_id: str, lines: Annotated[int, Query(ge=1, le=10_000)] = _LINES) -> HTMLResponse:
    """Show the last lines of what the program wrote; the script goes on from there."""
    head = await run_in_threadpool(head_of, request, model_id)
    text, start, end, refused = "", 0, 0, None
    try:
        text, start, end = await _tail(request, model_id, lines)
    except TrainyardError as error:  # a bucket that does not answer is no reason to hide the run
        refused = error
    values = {**head, "text": text, "start": start, "end": end, "lines": lines, "refused": refused}
    return page(request, "log.html", refused.status if refused else 200, **values)


@router.get("/runs/{model_id}/manifest", response_class=HTMLResponse)
def manifest(request: Request, model_id: str) -> HTMLResponse:
    """Show the manifest as it was submitted, without its secrets."""
    head = head_of(request, model_id)
    training = training_of(request, head["run"])
    return page(request, "manifest.html", **head, text=training.manifest if training else "")


@router.get("/runs/{model_id}/steps", response_class=HTMLResponse)
def steps(request: Request, model_id: str) -> HTMLResponse:
    """Show Airflow's steps of a run."""
    head = head_of(request, model_id)
    found = request.app.state.service.steps(head["run"])
    airflow = request.scope.get("root_path", "").removesuffix("/trainyard")
    return page(request, "steps.html", **head, steps=found, airflow=airflow)


def head_of(request: Request, model_id: str) -> dict[str, Any]:
    """Return what every tab of a run shows above; raise TrainyardError C107 for a run that the caller may not see."""
    service: Service = request.app.state.service
    run = service.run(model_id, caller(request))
    return {"run": run, "row": row_of(request, run)}


def _described(request: Request, model_id: str) -> dict[str, Any]:
    service: Service = request.app.state.service
    head = head_of(request, model_id)
    run: Run = head["run"]
    training = training_of(request, run)
    schedule = request.app.state.retraining.of(run.training_id)
    return {
        **head,
        "phases": phases_of(run, service.steps(run), time.time()),
        "waiting": service.waiting(run),
        "transfer": service.transfer(run),
        "alarms": service.alarms(run),
        "connections": service.connections(run),
        "schedule": schedule_json(schedule) if schedule else None,
        "origin": service.origin(run),
        "training": training,
        "effective": _effective(training, run) if training else None,
        "changed": dict(run.overrides),
        "warnings": training.warnings if training else (),
    }


def _effective(training: Training, run: Run) -> Training:
    """Return the training as this run has it; one whose values are not to be had any more, as it was submitted."""
    with suppress(TrainyardError):
        return training.of_run(run.overrides)
    return training


def training_of(request: Request, run: Run) -> Training | None:
    service: Service = request.app.state.service
    return service.catalogue.get(run.training_id)


async def _last_lines(request: Request, model_id: str) -> str:
    """Return the end of a failed run's log, empty where it cannot be had soon."""
    with suppress(TrainyardError, TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return (await _tail(request, model_id, _LINES_OF_A_FAILURE))[0].strip("\n")
    return ""


async def _tail(request: Request, model_id: str, lines: int) -> tuple[str, int, int]:
    """Return the last lines of a log, and from which to which byte they go; that it was read is recorded."""
    who = caller(request)
    run = await run_in_threadpool(request.app.state.service.run_of_log, model_id, who)
    found = await log_of(request, run, who)
    try:
        return await run_in_threadpool(_read_tail, found.opened, lines)
    finally:
        found.close()


def _read_tail(opened: Any, lines: int) -> tuple[str, int, int]:
    position = start = start_of_last_lines(opened, lines)
    data = b""
    while len(data) < _MAX_LOG_BYTES and (chunk := read_log(opened, position)):
        data += chunk
        position += len(chunk)
    return log_text(data), start, position
