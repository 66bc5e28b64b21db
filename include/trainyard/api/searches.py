"""/v3/searches: how a search goes, pausing, ending and extending it; what is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request

from trainyard.answers.searches import SearchAnswer, SearchesSettled
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.patching import PatchOperation
from trainyard.api.times import moment
from trainyard.core.accounts import Caller
from trainyard.core.search.trials import Trial
from trainyard.core.searching import Searching, SearchSeen
from trainyard.errors import TrainyardError

router = APIRouter()


@router.post("/searches/due", summary="Drive the searches", **answers(SearchesSettled), responses=refusals(403))
def settle(request: Request, caller: CallerDep) -> dict[str, Any]:
    """Start the trials that are due, end those that do badly, and make runs that were asked for.

    For the service's own user.
    """
    again = _searching(request).settle(caller)
    request.app.state.starting.settle(caller)
    return {"again_seconds": again}


@router.get("/searches/{name:path}", summary="Show a search", **answers(SearchAnswer), responses=refusals(404))
def search(request: Request, caller: CallerDep, name: str) -> dict[str, Any]:
    """Show a search by its experiment, the newest of several, or by the model id of any of its trials."""
    return search_json(_searching(request).seen(name, caller))


@router.patch(
    "/searches/{name:path}",
    summary="Pause, resume, end or extend a search",
    **answers(SearchAnswer),
    responses=refusals(400, 404, 409),
)
def change(request: Request, caller: CallerDep, name: str, patch: list[PatchOperation]) -> dict[str, Any]:
    """Change a search: `[{"op": "replace", "path": "/state", "value": "paused"}]`, or `running`, or `canceled`.

    `[{"op": "add", "path": "/trials", "value": 20}]` gives it 20 trials more, also where it is over.
    """
    return search_json(_change(_searching(request), patch)(name, caller))


def search_json(seen: SearchSeen) -> dict[str, Any]:
    """Return a search as JSON data: times as RFC 3339 in UTC, to the second."""
    training, spec, ledger, best = seen.training, seen.search, seen.ledger, seen.best
    return {
        "training_id": training.id,
        "state": seen.state,
        "experiment": training.experiment,
        "name": training.spec.name,
        "account": training.account,
        "owner": training.owner,
        "metric": spec.metric,
        "goal": spec.goal.value,
        "sampler": spec.sampler.value,
        "pruner": spec.pruner.value,
        "parallel": spec.parallel,
        "total": seen.total,
        "counts": dict(Counter(trial.state.value for trial in seen.trials)),
        "over": ledger.over,
        "note": ledger.note,
        "best": _trial_json(best) if best else None,
        "importances": seen.importances(),
        "gpu_hours": sum(trial.gpu_seconds for trial in seen.trials) / 3600,
        "began_at": moment(ledger.began_at),
        "over_at": moment(ledger.over_at),
        "seconds_left": seen.seconds_left,
        "trials": [_trial_json(trial) for trial in seen.trials],
    }


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "model_id": trial.model_id,
        "state": trial.state.value,
        "point": dict(trial.point),
        "value": trial.value,
        "steps": trial.reported[-1][0] if trial.reported else None,
        "began_at": moment(trial.began_at),
        "ended_at": moment(trial.ended_at),
        "gpu_seconds": trial.gpu_seconds,
        "attempt": trial.attempt,
    }


def _change(searching: Searching, patch: list[PatchOperation]) -> Callable[[str, Caller], SearchSeen]:
    (step,) = patch if len(patch) == 1 else (PatchOperation(op="", path=""),)
    states: Mapping[Any, Callable[[str, Caller], SearchSeen]] = {
        "paused": searching.pause,
        "running": searching.resume,
        "canceled": searching.cancel,
    }
    if (step.op, step.path) == ("replace", "/state") and isinstance(step.value, str) and step.value in states:
        return states[step.value]
    if (step.op, step.path) == ("add", "/trials") and type(step.value) is int:
        return lambda name, caller: searching.extend(name, step.value, caller)
    message = "only /state can be replaced, with paused, running or canceled, and /trials added to, with a number"
    raise TrainyardError("C110", message, "See /v3/docs.")


def _searching(request: Request) -> Searching:
    searching: Searching = request.app.state.searching
    return searching
