"""/v3/schedules: which trainings are trained again and when; pausing them; what is due."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from trainyard.answers.runs import ScheduleAnswer, SchedulePage
from trainyard.answers.service import Looked, Settled
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.patching import PatchOperation
from trainyard.api.times import moment
from trainyard.core.retraining import Retrained, Retraining, ScheduleState
from trainyard.errors import TrainyardError

router = APIRouter()
_MAX_A_PAGE = 1000


class LookedAt(BaseModel):
    """What a look at the data found: the version of the dataset, or why there is none."""

    due: float
    version: str | None = None
    failure: str = ""


@router.get("/schedules", summary="List schedules", **answers(SchedulePage), responses=refusals(400))
def schedules(
    request: Request,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=_MAX_A_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> dict[str, Any]:
    """List the schedules that the caller may see, the next due first, ended ones last."""
    page, total = _retraining(request).all(caller, limit, offset)
    return {"resources": [schedule_json(each) for each in page], "total": total, "limit": limit, "offset": offset}


@router.get("/schedules/{training_id}", summary="Show a schedule", **answers(ScheduleAnswer), responses=refusals(404))
def schedule(request: Request, caller: CallerDep, training_id: str) -> dict[str, Any]:
    """Show the schedule of a training, which goes by the id of its first run."""
    return schedule_json(_retraining(request).one(training_id, caller))


@router.patch(
    "/schedules/{training_id}",
    summary="Pause, resume or end a schedule",
    **answers(ScheduleAnswer),
    responses=refusals(400, 404, 409),
)
def change(request: Request, caller: CallerDep, training_id: str, patch: list[PatchOperation]) -> dict[str, Any]:
    """Change a schedule: `[{"op": "replace", "path": "/state", "value": "paused"}]`, or `active`, or `ended`.

    Runs that are going are left alone.
    """
    return schedule_json(_retraining(request).set(training_id, _wanted_state(patch), caller))


@router.post("/schedules/due", summary="Start what is due", **answers(Settled), responses=refusals(403))
def settle(request: Request, caller: CallerDep) -> dict[str, Any]:
    """Start every run that is due or was asked for, and say which data has to be looked at.

    For the service's own user.
    """
    settled = _retraining(request).settle(caller)
    asked = request.app.state.starting.settle(caller)
    looks = [{"training_id": look.training_id, "due": look.due} for look in settled.looks]
    return {"started": [*asked, *settled.started], "looks": looks}


@router.post(
    "/schedules/{training_id}/looks",
    summary="Report what data was found",
    **answers(Looked),
    responses=refusals(400, 403),
)
def looked(request: Request, caller: CallerDep, training_id: str, found: LookedAt) -> dict[str, Any]:
    """Start a run if the data is new. For the service's own user."""
    return {"started": _retraining(request).looked(training_id, found.due, found.version, found.failure, caller)}


def schedule_json(seen: Retrained) -> dict[str, Any]:
    """Return a schedule as JSON data: times as RFC 3339 in UTC, to the second."""
    training, entry = seen.training, seen.entry
    spoken = entry.schedule
    return {
        "training_id": training.id,
        "url": f"/v3/schedules/{training.id}",
        "name": training.spec.name,
        "account": training.account,
        "schedule": str(spoken),
        "every_seconds": spoken.every_seconds or None,
        "until": moment(spoken.until),
        "overlap": None if spoken.on_new_data else spoken.overlap.value,
        "state": seen.state.value,
        "next_at": moment(seen.next_at),
        "waiting": entry.progress.waiting is not None,
        "last_run": seen.last_run,
        "note": entry.note,
    }


def _wanted_state(patch: list[PatchOperation]) -> ScheduleState:
    (step,) = patch if len(patch) == 1 else (PatchOperation(op="", path=""),)
    if (step.op, step.path) != ("replace", "/state") or step.value not in list(ScheduleState):
        message = f"only /state can be replaced, with one of {', '.join(ScheduleState)}"
        raise TrainyardError("C110", message, "See /v3/docs.")
    return ScheduleState(step.value)


def _retraining(request: Request) -> Retraining:
    retraining: Retraining = request.app.state.retraining
    return retraining
