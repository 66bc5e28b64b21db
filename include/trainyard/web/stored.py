"""The page of what is stored for experiments: the documents of 2018, of which an experiment is run by a button."""

from __future__ import annotations

import secrets
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse

from trainyard.core.documents.documents import Documents
from trainyard.core.documents.experimentruns import ExperimentRuns
from trainyard.core.documents.files import Kind
from trainyard.web.rendering import caller, page

router = APIRouter()


@router.get("/stored", response_class=HTMLResponse)
def stored(request: Request) -> HTMLResponse:
    """Show the stored experiments and training definitions that the caller may see, the newest first."""
    documents: Documents = request.app.state.documents
    who = caller(request)
    experiments, definitions = (documents.all(kind, who)[::-1] for kind in (Kind.EXPERIMENT, Kind.DEFINITION))
    key = secrets.token_hex(16)
    return page(request, "stored.html", experiments=experiments, definitions=definitions, key=key)


@router.post("/stored/{experiment_id}/runs")
def run(
    request: Request, experiment_id: str, key: Annotated[str, Form(pattern="^([0-9a-f]{32})?$")] = ""
) -> RedirectResponse:
    """Run an experiment, once for a `key` however often the form is sent, and show its trainings."""
    runs: ExperimentRuns = request.app.state.experiment_runs
    made = runs.start(experiment_id, caller(request), f"page-{key}" if key else "")
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/?experiment={quote(made.experiment, safe='')}", 303)
