"""/v3/models: submit, list, show, cancel, delete; /v3/frameworks."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, File, Form, Header, Query, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from trainyard.answers.runs import RunAnswer, RunDetails, RunPage, Submitted
from trainyard.answers.service import Frameworks
from trainyard.api.auth import CallerDep
from trainyard.api.guards.forms import FormRoute
from trainyard.api.openapi import answers, refusals
from trainyard.api.patching import PatchOperation
from trainyard.api.schedules import schedule_json
from trainyard.api.times import epoch, moment
from trainyard.api.uploads import receive
from trainyard.core.catalogue import Training
from trainyard.core.deleting import Deleting
from trainyard.core.livemetrics import LiveMetrics
from trainyard.core.rerunning import Rerunning
from trainyard.core.runs import Filter, Run
from trainyard.core.service import Service
from trainyard.domain.codeversion import read_code_version
from trainyard.domain.hyperparameters import COMMAND, SIZE
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import State
from trainyard.errors import TrainyardError
from trainyard.manifest.grid import read_grid


class Again(BaseModel):
    """What a run has that repeats another one; a text is read as the manifest's own value is."""

    model_config = ConfigDict(extra="forbid")

    set: dict[str, bool | int | float | str] = Field(default_factory=dict, max_length=200)
    size: str | None = None
    command: str | None = None
    exact: bool = False
    resume: bool = False
    name: str = Field(default="", max_length=1000)

    @property
    def changes(self) -> dict[str, bool | int | float | str]:
        fields = {SIZE: self.size, COMMAND: self.command}
        return {**self.set, **{name: value for name, value in fields.items() if value is not None}}


router = APIRouter()
_submissions = APIRouter(route_class=FormRoute)
_MAX_A_PAGE = 1000
_ME = "@me"


@_submissions.post(
    "/models",
    status_code=202,
    summary="Submit trainings",
    **answers(Submitted),
    responses=refusals(400, 403, 404, 408, 413, 429),
)
async def submit(
    request: Request,
    caller: CallerDep,
    manifest: Annotated[list[UploadFile], File(description="The manifest, YAML or JSON; one part for each")],
    model_definition: Annotated[
        UploadFile | None, File(alias="zip", description="The zip with the program; may be missing with `from`")
    ] = None,
    account: Annotated[str | None, Form(description="Who pays; the caller's first account if not given")] = None,
    experiment: Annotated[str, Form(description="The experiment that the runs belong to")] = "",
    settings_of_runs: Annotated[
        list[str] | None, Form(alias="set", description="`lr=0.1,0.01`: values of a hyperparameter, a run for each")
    ] = None,
    earlier: Annotated[
        str,
        Form(
            alias="from",
            max_length=200,
            description="A run to start from: its zip where none is sent, and what `****` of its manifest stands for",
        ),
    ] = "",
    code: Annotated[str, Form(description="The git commit of the program, as JSON; see docs/rest.md")] = "",
    idempotency_key: Annotated[
        str, Header(max_length=200, description="The same key again gets the same answer and registers nothing twice")
    ] = "",
) -> dict[str, Any]:
    """Submit 1 to 100 runs of one zip. Answer 202 and the model ids, or all faults at once; all are registered or none.

    There is a run for each manifest and each combination of the values to set.
    """
    settings, grid = request.app.state.settings, read_grid(settings_of_runs or ())
    version = read_code_version(code)

    def submitted() -> Sequence[Training]:
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            zip_path = Path(folder) / "model.zip"
            if model_definition and model_definition.filename:  # browsers send an empty one where none is chosen
                receive(model_definition, zip_path, settings.zip_max_bytes)
            # One byte more than is allowed is enough to see that a manifest is too large.
            texts = [(part.filename or "", part.file.read(settings.manifest_max_bytes + 1)) for part in manifest]
            service = _service(request)
            source = service.training_of(earlier, caller) if earlier else None
            given = zip_path if zip_path.exists() else None
            return service.registration.submit_all(
                texts, given, account or None, caller, experiment, grid, idempotency_key, version, source
            )

    # Checks of manifest and zip take seconds of a processor: so many at a time leave room for other requests.
    return _accepted(await to_thread.run_sync(submitted, limiter=request.app.state.submitting))


def _accepted(made: Sequence[Training]) -> dict[str, Any]:
    """Report the first run as of one alone; of several also all ids. A warning that all runs have is given once."""
    first = made[0]
    answer = {
        "model_id": first.id,
        "url": _url(first.id),
        "account": first.account,
        "warnings": list(dict.fromkeys(warning for training in made for warning in training.warnings)),
        "manifest": first.manifest,
    }
    ids = [model_id for training in made for model_id in training.first_runs]
    return answer if len(ids) == 1 else {**answer, "model_ids": ids}


router.include_router(_submissions)


@router.get("/models", summary="List runs", **answers(RunPage), responses=refusals(400))
def runs(
    request: Request,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=_MAX_A_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
    state: Annotated[list[State] | None, Query(description="Only runs in this state; may be repeated")] = None,
    name: Annotated[str, Query(description="Only runs with this in their name, in any case")] = "",
    experiment: Annotated[str, Query(description="Only runs of this experiment")] = "",
    framework: Annotated[str, Query(description="Only runs on this framework, with its version or without")] = "",
    since: Annotated[
        datetime | None, Query(description="Only runs submitted then or later; UTC unless it says otherwise")
    ] = None,
    owner: Annotated[
        str, Query(max_length=200, description="Only runs that this user started; `@me` stands for who asks")
    ] = "",
    match: Annotated[
        str,
        Query(max_length=200, description="The 20 runs at most that this may stand for: part of an id, or a name"),
    ] = "",
    deleted: Annotated[bool, Query(description="Only runs that are deleted and can be brought back")] = False,
) -> dict[str, Any]:
    """List the runs the caller may see, in the order of their submission; `total` counts those that are asked for."""
    whose = caller.name if owner == _ME else owner
    wanted = Filter(frozenset(state or ()), name, experiment, framework, epoch(since), owner=whose, deleted=deleted)
    if match:
        page: Sequence[Run] = _service(request).matching(match, caller, deleted=deleted)
        total = len(page)
    else:
        page, total = _service(request).runs(caller, limit, offset, wanted)
    live = request.app.state.metrics
    return {"resources": [run_json(run, live) for run in page], "total": total, "limit": limit, "offset": offset}


@router.get("/models/{model_id}", summary="Show a run", **answers(RunDetails), responses=refusals(404))
def show(
    request: Request,
    caller: CallerDep,
    model_id: str,
    deleted: Annotated[bool, Query(description="Also a run that is deleted and can be brought back")] = False,
) -> dict[str, Any]:
    """Show one run: what it waits for, how far its data has been moved, and when its training is trained again."""
    service = _service(request)
    run = service.run(model_id, caller, deleted)
    schedule = request.app.state.retraining.of(run.training_id)
    return {
        **run_json(run, request.app.state.metrics),
        **service.origin(run),
        "waiting": service.waiting(run) or None,
        "connections": service.connections(run),
        "transfer": _transfer_json(service.transfer(run)),
        "alarms": [alarm.as_dict() for alarm in service.alarms(run)],
        "schedule": schedule_json(schedule) if schedule else None,
    }


@router.post(
    "/models/{model_id}/rerun",
    status_code=202,
    summary="Run a run again",
    **answers(Submitted),
    responses=refusals(400, 403, 404, 409),
)
def rerun(
    request: Request,
    caller: CallerDep,
    model_id: str,
    asked: Again,
    idempotency_key: Annotated[
        str, Header(max_length=200, description="The same key again gets the same answer and starts nothing twice")
    ] = "",
) -> dict[str, Any]:
    """Start a run from the zip and the manifest of another one, with that one's values and what is changed of them.

    An `exact` one takes the version of the data and the image, by its digest, that the other one had. To `resume` it
    goes on from that one's newest complete checkpoint. A `name` is the new run's own.
    """
    rerunning: Rerunning = request.app.state.rerunning
    start = rerunning.rerun(model_id, asked.changes, asked.exact, caller, idempotency_key, asked.resume, asked.name)
    training = _service(request).catalogue.get(start.training_id)
    return {
        "model_id": start.model_id,
        "url": _url(start.model_id),
        "account": training.account if training else "",
        "parent": start.parent,
    }


@router.patch(
    "/models/{model_id}",
    status_code=202,
    summary="Cancel a run",
    **answers(RunAnswer),
    responses=refusals(400, 404, 409),
)
def cancel(request: Request, caller: CallerDep, model_id: str, patch: list[PatchOperation]) -> dict[str, Any]:
    """Cancel a run: `[{"op": "replace", "path": "/status/state", "value": "canceled"}]`."""
    if [(step.op, step.path, step.value) for step in patch] != [("replace", "/status/state", "canceled")]:
        raise TrainyardError("C110", "only /status/state can be replaced, with canceled", "See /v3/docs.")
    return run_json(_service(request).cancel(model_id, caller), request.app.state.metrics)


@router.delete(
    "/models/{model_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a finished run",
    responses=refusals(404, 409),
)
def delete(
    request: Request,
    response: Response,
    caller: CallerDep,
    model_id: str,
    now: Annotated[bool, Query(description="Remove it at once, also one that is deleted already")] = False,
) -> None:
    """Delete a finished run from the history; the bucket is left alone.

    `X-Deleted-Until` of the answer says until when it can be brought back; without it, it cannot.
    """
    until = _deleting(request).delete(model_id, caller, now)
    if until is not None:
        response.headers["X-Deleted-Until"] = moment(until) or ""


@router.post(
    "/models/{model_id}/undelete",
    summary="Bring a deleted run back",
    **answers(RunAnswer),
    responses=refusals(404, 409),
)
def undelete(request: Request, caller: CallerDep, model_id: str) -> dict[str, Any]:
    """Bring a deleted run back with all that it had, while its time is not over."""
    return run_json(_deleting(request).undelete(model_id, caller), request.app.state.metrics)


@router.get("/frameworks", summary="List frameworks", **answers(Frameworks), responses=refusals())
def frameworks(request: Request, caller: CallerDep) -> dict[str, Any]:  # noqa: ARG001 - signing in is asked for
    """List the frameworks and versions that there are."""
    return {"resources": [asdict(framework) for framework in _service(request).limits().frameworks]}


def run_json(run: Run, live: LiveMetrics) -> dict[str, Any]:
    """Return a run as JSON data: times as RFC 3339 in UTC, to the second; metrics as they are known now."""
    metrics, progress = live.newest(run)
    return {
        "model_id": run.model_id,
        "training_id": run.training_id,
        "name": run.name,
        "url": _url(run.model_id),
        "state": run.state.value,
        "phase": run.phase.value,
        "account": run.account,
        "framework": run.framework,
        "gpus": run.gpus,
        "learners": run.learners,
        "submitted_at": moment(run.submitted_at),
        "running_at": moment(run.running_at),
        "finished_at": moment(run.finished_at),
        "outcome": _outcome_json(run.outcome) if run.outcome else None,
        "experiment": run.experiment,
        "waiting": run.waiting or None,
        "overrides": dict(run.overrides),
        "left_out": run.left_out,
        "tracked": run.tracked,
        "owner": run.owner,
        "hyperparameters": dict(run.hyperparameters),
        "metrics": metrics or final_values(run),
        "progress": progress,
        "parent": run.parent,
        "trial": run.trial,
        **_deletion_json(run),
    }


def _deletion_json(run: Run) -> dict[str, Any]:
    times = {"deleted_at": moment(run.deleted_at), "deleted_until": moment(run.deleted_until)}
    return times if run.deleted_at else {}


def final_values(run: Run) -> dict[str, float]:
    """Return the last value of each metric of a run that has ended."""
    metrics = run.outcome.metrics if run.outcome else {}
    return {name: values["last"] for name, values in metrics.items() if "last" in values}


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    times = {"started_at": moment(outcome.started_at), "finished_at": moment(outcome.finished_at)}
    return {**outcome.as_dict(), **times}


def _transfer_json(reported: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a transfer as JSON data: files, bytes, bytes a second, and seconds."""
    return {**reported, "at": moment(reported["at"])} if reported else None


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _deleting(request: Request) -> Deleting:
    deleting: Deleting = request.app.state.deleting
    return deleting


def _url(model_id: str) -> str:
    return f"/v3/models/{model_id}"
