"""What is done to runs from a page: canceled, deleted, run again, after a page that asks; and brought back."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from trainyard.core.accounts import Caller
from trainyard.core.deleting import Deleting
from trainyard.core.rerunning import Rerunning
from trainyard.core.runs import Run
from trainyard.core.service import Service
from trainyard.errors import TrainyardError
from trainyard.web.rendering import caller, page
from trainyard.web.rows import rows_of

router = APIRouter()
_MAX_RUNS = 100


@router.post("/actions", response_class=HTMLResponse)
def act(
    request: Request,
    do: Annotated[Literal["cancel", "delete", "again", "undelete"], Form()],
    model_ids: Annotated[list[str] | None, Form(alias="id", max_length=_MAX_RUNS)] = None,
    meant: Annotated[bool, Form()] = False,
    key: Annotated[str, Form(pattern="^([0-9a-f]{32})?$")] = "",
) -> Response:
    """Ask whether it is meant so; do it to each run then, and report those for which it failed."""
    service: Service = request.app.state.service
    who = caller(request)
    if not model_ids:
        raise TrainyardError("C110", "no run is selected", "Select the runs in the list first.")
    deleted = do == "undelete"
    runs = [service.run(model_id, who, deleted) for model_id in dict.fromkeys(model_ids)]
    if not meant and not deleted:  # nothing is lost by bringing a run back
        kept = round(service.settings.deleted_keep_seconds / 3600, 1)
        hours, key = f"{kept:g}" if kept else "", secrets.token_hex(16)
        return page(request, "sure.html", do=do, rows=rows_of(request, runs), key=key, kept_hours=hours)
    refused = _refusals(_action(request, do, key), runs, who)
    if refused:
        return page(request, "refused.html", 409, do=do, done=len(runs) - len(refused), refused=refused)
    root = request.scope.get("root_path", "")
    alone = do == "cancel" and len(runs) == 1
    return RedirectResponse(f"{root}/runs/{runs[0].model_id}" if alone else f"{root}/", 303)


def _action(request: Request, do: str, key: str) -> Callable[[str, Caller], object]:
    """Return what is done to one run. One is run again once for a `key`, however often the form is sent."""
    service: Service = request.app.state.service
    rerunning: Rerunning = request.app.state.rerunning
    if do == "again":
        return lambda model_id, who: rerunning.rerun(model_id, {}, False, who, f"page-{key}-{model_id}" if key else "")
    if do == "cancel":
        return service.cancel
    return Deleting(service).undelete if do == "undelete" else Deleting(service).delete


def _refusals(
    action: Callable[[str, Caller], object], runs: Sequence[Run], who: Caller
) -> list[tuple[Run, TrainyardError]]:
    refused = []
    for run in runs:
        try:
            action(run.model_id, who)
        except TrainyardError as error:
            refused.append((run, error))
    return refused
