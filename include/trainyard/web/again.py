"""Run a run again from its page: what it had stands in a form, and what is changed there is what differs."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from trainyard.core.catalogue import Training
from trainyard.core.rerunning import Rerunning
from trainyard.core.runs import Run
from trainyard.domain.hyperparameters import COMMAND, SIZE, as_text
from trainyard.domain.overrides import fields
from trainyard.errors import TrainyardError
from trainyard.web.rendering import caller, page
from trainyard.web.runs import head_of, training_of

router = APIRouter()
_MAX_FIELDS = 200


@router.get("/runs/{model_id}/again", response_class=HTMLResponse)
def form(request: Request, model_id: str) -> HTMLResponse:
    """Show what a run has, to be changed before it runs again."""
    head, training = _found(request, model_id)
    return _form(request, head, training, {})


@router.post("/runs/{model_id}/again", response_class=HTMLResponse)
def rerun(
    request: Request,
    model_id: str,
    names: Annotated[list[str] | None, Form(alias="name", max_length=_MAX_FIELDS)] = None,
    values: Annotated[list[str] | None, Form(alias="value", max_length=_MAX_FIELDS)] = None,
    key: Annotated[str, Form(pattern="^([0-9a-f]{32})?$")] = "",
    exact: Annotated[bool, Form()] = False,
    resume: Annotated[bool, Form()] = False,
    called: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Start the run with what was changed, once for a form however often it is sent; show the form with its faults."""
    head, training = _found(request, model_id)
    shown = _values(training, head["run"])
    # Browsers send the line ends of a command as CR LF.
    given = {name: value.replace("\r\n", "\n") for name, value in zip(names or (), values or (), strict=False)}
    changes = {name: value for name, value in given.items() if value != shown.get(name)}
    rerunning: Rerunning = request.app.state.rerunning
    try:
        start = rerunning.rerun(model_id, changes, exact, caller(request), f"page-{key}" if key else "", resume, called)
    except TrainyardError as error:
        return _form(request, head, training, given, exact, resume, called, error)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/runs/{start.model_id}", 303)


def _found(request: Request, model_id: str) -> tuple[dict[str, Any], Training]:
    head = head_of(request, model_id)
    training = training_of(request, head["run"])
    if training is None:
        raise TrainyardError("C107", f"what {model_id} was made of is not kept any more", "Submit it again.")
    return head, training


def _form(
    request: Request,
    head: dict[str, Any],
    training: Training,
    given: dict[str, str],
    exact: bool = False,
    resume: bool = False,
    called: str = "",
    error: TrainyardError | None = None,
) -> HTMLResponse:
    values = {**_values(training, head["run"]), **given}
    own = training.spec.resources.size
    sizes = [name for name in (own, *training.sizes) if name]
    return page(
        request,
        "again.html",
        error.status if error else 200,
        **head,
        error=error,
        exact=exact,
        resume=resume,
        called=called,
        key=secrets.token_hex(16),
        sizes=list(dict.fromkeys(sizes)) if own else [],
        size=values.pop(SIZE, ""),
        command=values.pop(COMMAND),
        values=values,
    )


def _values(training: Training, run: Run) -> dict[str, str]:
    """Return what a run has, as texts; it has no size where its manifest gives amounts."""
    has = {**fields(training.spec), **run.overrides}
    return {name: as_text(value) for name, value in has.items() if value is not None}
