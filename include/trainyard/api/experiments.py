"""/v3/experiments: store, list, show, run and delete experiments of stored training definitions."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, File, Form, Header, Query, Request, Response, UploadFile

from trainyard.answers.documents import (
    DocumentDetails,
    DocumentPage,
    ExperimentRunAnswer,
    ExperimentRunDetails,
    ExperimentRunPage,
)
from trainyard.api.auth import CallerDep
from trainyard.api.definitions import details_json, page_json
from trainyard.api.guards.forms import FormRoute
from trainyard.api.models import run_json
from trainyard.api.openapi import answers, refusals
from trainyard.api.patching import PatchOperation
from trainyard.api.times import moment
from trainyard.core.documents.documents import Documents
from trainyard.core.documents.experimentruns import ExperimentRun, ExperimentRuns
from trainyard.core.documents.files import Kind, Stored
from trainyard.errors import TrainyardError

router = APIRouter()
_submissions = APIRouter(route_class=FormRoute)
_MAX_A_PAGE = 1000


@_submissions.post(
    "/experiments",
    status_code=201,
    summary="Store an experiment",
    **answers(DocumentDetails),
    responses=refusals(400, 403, 408, 409, 413, 429),
)
async def store(
    request: Request,
    caller: CallerDep,
    manifest: Annotated[UploadFile, File(description="The experiment, YAML or JSON")],
    account: Annotated[str | None, Form(description="Whose it is; the caller's first account if not given")] = None,
    idempotency_key: Annotated[
        str, Header(max_length=200, description="The same key again gets the same experiment")
    ] = "",
) -> dict[str, Any]:
    """Store an experiment whose training definitions are stored, or answer with all faults at once."""

    def stored() -> Stored:
        text = manifest.file.read(request.app.state.settings.manifest_max_bytes + 1)
        return _documents(request).store_experiment(text, account or None, caller, idempotency_key)

    return details_json(await to_thread.run_sync(stored, limiter=request.app.state.submitting))


router.include_router(_submissions)


@router.get("/experiments", summary="List stored experiments", **answers(DocumentPage), responses=refusals(400))
def experiments(
    request: Request,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=_MAX_A_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> dict[str, Any]:
    """List the stored experiments that the caller may see, in the order in which they were stored."""
    return page_json(_documents(request).all(Kind.EXPERIMENT, caller), limit, offset)


@router.get(
    "/experiments/{experiment_id}",
    summary="Show a stored experiment",
    **answers(DocumentDetails),
    responses=refusals(404),
)
def experiment(request: Request, caller: CallerDep, experiment_id: str) -> dict[str, Any]:
    """Show a stored experiment, without its credentials."""
    return details_json(_documents(request).one(Kind.EXPERIMENT, experiment_id, caller))


@router.delete(
    "/experiments/{experiment_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a stored experiment",
    responses=refusals(404),
)
def delete(request: Request, caller: CallerDep, experiment_id: str) -> None:
    """Delete a stored experiment. Its trainings stay in the list of runs until they are deleted themselves."""
    _documents(request).delete(Kind.EXPERIMENT, experiment_id, caller)


@router.post(
    "/experiments/{experiment_id}/runs",
    status_code=202,
    summary="Run a stored experiment",
    **answers(ExperimentRunAnswer),
    responses=refusals(400, 403, 404, 429),
)
async def start(
    request: Request,
    caller: CallerDep,
    experiment_id: str,
    idempotency_key: Annotated[str, Header(max_length=200, description="The same key again starts nothing twice")] = "",
) -> dict[str, Any]:
    """Run an experiment: each of its trainings is registered, or all faults are answered at once."""

    def started() -> ExperimentRun:
        return _runs(request).start(experiment_id, caller, idempotency_key)

    return experiment_run_json(await to_thread.run_sync(started, limiter=request.app.state.submitting))


@router.get(
    "/experiments/{experiment_id}/runs",
    summary="List the runs of an experiment",
    **answers(ExperimentRunPage),
    responses=refusals(400, 404),
)
def runs(
    request: Request,
    caller: CallerDep,
    experiment_id: str,
    limit: Annotated[int, Query(ge=1, le=_MAX_A_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> dict[str, Any]:
    """List the runs of an experiment, the oldest first."""
    found, total = _runs(request).all(experiment_id, caller, limit, offset)
    page = [experiment_run_json(each) for each in found]
    return {"resources": page, "total": total, "limit": limit, "offset": offset}


@router.get(
    "/experiments/{experiment_id}/runs/{run_id}",
    summary="Show a run of an experiment",
    **answers(ExperimentRunDetails),
    responses=refusals(404),
)
def run(request: Request, caller: CallerDep, experiment_id: str, run_id: str) -> dict[str, Any]:
    """Show a run of an experiment with its trainings."""
    found, live = _runs(request).one(experiment_id, run_id, caller), request.app.state.metrics
    return {**experiment_run_json(found), "trainings": [run_json(each, live) for each in found.trainings]}


@router.patch(
    "/experiments/{experiment_id}/runs/{run_id}",
    status_code=202,
    summary="Cancel a run of an experiment",
    **answers(ExperimentRunAnswer),
    responses=refusals(400, 404, 409),
)
def cancel(
    request: Request, caller: CallerDep, experiment_id: str, run_id: str, patch: list[PatchOperation]
) -> dict[str, Any]:
    """Cancel every training that is going: `[{"op": "replace", "path": "/status/state", "value": "canceled"}]`."""
    if [(step.op, step.path, step.value) for step in patch] != [("replace", "/status/state", "canceled")]:
        raise TrainyardError("C110", "only /status/state can be replaced, with canceled", "See /v3/docs.")
    return experiment_run_json(_runs(request).cancel(experiment_id, run_id, caller))


@router.delete(
    "/experiments/{experiment_id}/runs/{run_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a run of an experiment",
    responses=refusals(404, 409),
)
def delete_run(request: Request, caller: CallerDep, experiment_id: str, run_id: str) -> None:
    """Delete a run of an experiment with its trainings, all of which have to have ended; the bucket is left alone."""
    _runs(request).delete(experiment_id, run_id, caller)


def experiment_run_json(found: ExperimentRun) -> dict[str, Any]:
    """Return a run of an experiment as JSON data, without its trainings."""
    record = found.record
    return {
        "id": record.id,
        "url": f"/v3/experiments/{record.parent}/runs/{record.id}",
        "experiment_id": record.parent,
        "experiment": found.experiment,
        "account": record.account,
        "owner": record.owner,
        "created_at": moment(record.created_at),
        "state": found.state.value,
        "states": dict(Counter(run.state.value for run in found.trainings)),
        "model_ids": [run.model_id for run in found.trainings],
    }


def _documents(request: Request) -> Documents:
    documents: Documents = request.app.state.documents
    return documents


def _runs(request: Request) -> ExperimentRuns:
    runs: ExperimentRuns = request.app.state.experiment_runs
    return runs
