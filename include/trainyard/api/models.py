"""/v3/models: submit, list, show, cancel, delete; /v3/frameworks."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from pydantic import BaseModel

from trainyard.api.auth import CallerDep
from trainyard.errors import TrainyardError
from trainyard.service import Run, Service

router = APIRouter()
_CHUNK = 1024 * 1024
_MOST_A_PAGE = 1000


class PatchOperation(BaseModel):
    """One operation of a JSON Patch (RFC 6902)."""

    op: str
    path: str
    value: Any = None


@router.post("/models", status_code=202)
def submit(
    request: Request,
    caller: CallerDep,
    manifest: Annotated[UploadFile, File(description="The manifest, YAML or JSON")],
    model_definition: Annotated[UploadFile, File(alias="zip", description="The zip with the program")],
    account: Annotated[str | None, Form(description="Who pays; the caller's first account if not given")] = None,
) -> dict[str, Any]:
    """Submit a training. Answer 202 and the model id, or all faults at once."""
    settings = request.app.state.settings
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        zip_path = Path(folder) / "model.zip"
        _receive(model_definition, zip_path, settings.zip_max_bytes)
        # One byte more than is allowed is enough to see that a manifest is too large.
        text = manifest.file.read(settings.manifest_max_bytes + 1)
        training = _service(request).submit(text, zip_path, account or None, caller)
    return {
        "model_id": training.id,
        "url": _url(training.id),
        "account": training.account,
        "warnings": list(training.warnings),
    }


@router.get("/models")
def runs(
    request: Request,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=_MOST_A_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """List the runs the caller may see, in the order of their submission."""
    page, total = _service(request).runs(caller, limit, offset)
    return {"resources": [run_json(run) for run in page], "total": total, "limit": limit, "offset": offset}


@router.get("/models/{model_id}")
def show(request: Request, caller: CallerDep, model_id: str) -> dict[str, Any]:
    """Show one run."""
    return run_json(_service(request).run(model_id, caller))


@router.patch("/models/{model_id}", status_code=202)
def cancel(request: Request, caller: CallerDep, model_id: str, patch: list[PatchOperation]) -> dict[str, Any]:
    """Cancel a run: `[{"op": "replace", "path": "/status/state", "value": "canceled"}]`."""
    if [(step.op, step.path, step.value) for step in patch] != [("replace", "/status/state", "canceled")]:
        raise TrainyardError("C110", "only /status/state can be replaced, with canceled", "See /v3/docs.")
    return run_json(_service(request).cancel(model_id, caller))


@router.delete("/models/{model_id}", status_code=204, response_class=Response)
def delete(request: Request, caller: CallerDep, model_id: str) -> None:
    """Delete a finished run from the history; the bucket is left alone."""
    _service(request).delete(model_id, caller)


@router.get("/frameworks")
def frameworks(request: Request, caller: CallerDep) -> dict[str, Any]:  # noqa: ARG001 - signing in is asked for
    """List the frameworks and versions that there are."""
    return {"resources": [asdict(framework) for framework in _service(request).limits().frameworks]}


def run_json(run: Run) -> dict[str, Any]:
    """Return a run as JSON data: times as RFC 3339 in UTC, to the second."""
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
        "submitted_at": _moment(run.submitted_at),
        "running_at": _moment(run.running_at),
        "finished_at": _moment(run.finished_at),
        "outcome": run.outcome.as_dict() if run.outcome else None,
    }


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _url(model_id: str) -> str:
    return f"/v3/models/{model_id}"


def _moment(epoch: float | None) -> str | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _receive(upload: UploadFile, target: Path, limit: int) -> None:
    received = 0
    with target.open("wb") as file:
        while chunk := upload.file.read(_CHUNK):
            received += len(chunk)
            if received > limit:
                cure = "Leave data out of the zip: it belongs in the training bucket."
                raise TrainyardError("C109", f"the zip is larger than {limit} bytes", cure)
            file.write(chunk)
