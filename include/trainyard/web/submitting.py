"""The page of a new training: a manifest that is checked while it is written, a zip, and what it will take."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse

from trainyard.client.ignoring import Ignored
from trainyard.core.accounts import Caller, account_for
from trainyard.core.runs import Run
from trainyard.core.service import Service
from trainyard.domain.names import is_model_id
from trainyard.domain.plan import Plan
from trainyard.errors import TrainyardError
from trainyard.manifest.effective import effective_manifest
from trainyard.manifest.grid import Grid, read_grid
from trainyard.manifest.reading import ManifestRead
from trainyard.manifest.submission import check_submission
from trainyard.web.rendering import caller, page
from trainyard.web.rows import rows_of

router = APIRouter()
# A hostile manifest takes a second of a processor; submissions have their own limit.
CHECKS_AT_ONCE = 2
_MAX_MANIFEST = 512 * 1024
_MAX_SETTINGS = 100
_MAX_TEXT = 2000
_MAX_NAME = 200
_MAX_RULES = 16 * 1024
_EMPTY: dict[str, Any] = {"run": None, "choices": (), "wanted": "", "text": "", "account": "", "experiment": ""}


class Draft(BaseModel):
    """What somebody has written so far."""

    manifest: str = Field(max_length=_MAX_MANIFEST)
    account: str = Field("", max_length=200)
    settings: list[str] = Field(default_factory=list, max_length=_MAX_SETTINGS, alias="set")
    earlier: str = Field("", max_length=_MAX_NAME, alias="from")


class Listed(BaseModel):
    """Names of a folder's files and folders, which end with `/`, relative to it; and its rules."""

    names: list[Annotated[str, Field(max_length=4096)]] = Field(max_length=1000)
    rules: str = Field("", max_length=_MAX_RULES)


def checks_limiter() -> CapacityLimiter:
    """Return what bounds how many drafts are checked at once."""
    return CapacityLimiter(CHECKS_AT_ONCE)


@router.get("/new", response_class=HTMLResponse)
def new(request: Request, earlier: Annotated[str, Query(alias="from", max_length=_MAX_NAME)] = "") -> HTMLResponse:
    """Show the form, filled with what an earlier run was where one is named; of several by that name, ask which."""
    service, who, wanted = request.app.state.service, caller(request), earlier.strip()
    if not wanted:
        return _form(request)
    found = [service.run(wanted, who)] if is_model_id(wanted) else service.matching(wanted, who)
    if len(found) != 1:
        return _form(request, wanted=wanted, choices=rows_of(request, found))
    run: Run = found[0]
    training = service.training_of(run.model_id, who)
    text = effective_manifest(training.manifest, {**training.settings, **run.overrides})
    return _form(request, run=run, text=text, account=training.account, experiment=training.experiment)


def _form(request: Request, **values: Any) -> HTMLResponse:
    service: Service = request.app.state.service
    who, limits = caller(request), service.limits()
    accounts = list(limits.accounts.values()) if who.admin else limits.accounts_of(who.name)
    sizes = sorted(limits.sizes.values(), key=lambda size: (size.gpus, size.cpu_millis, size.memory))
    return page(request, "new.html", **{**_EMPTY, "accounts": accounts, "sizes": sizes, **values})


@router.post("/new/check")
async def check(request: Request, draft: Draft) -> dict[str, Any]:
    """Check a draft as the front door will, but for the zip; report all faults, and what it would take."""
    for text in draft.settings:
        if len(text) > _MAX_TEXT:
            raise TrainyardError("C110", "a value to set is too long", "Put it into the manifest.")
    service, who = request.app.state.service, caller(request)
    return await to_thread.run_sync(lambda: _checked(service, who, draft), limiter=request.app.state.checking)


@router.post("/new/wanted")
async def wanted(request: Request, listed: Listed) -> dict[str, Any]:
    """Say which names of a folder are part of the program, by the rules of its `.trainyardignore`."""
    return await to_thread.run_sync(lambda: _wanted(listed), limiter=request.app.state.checking)


def _wanted(listed: Listed) -> dict[str, Any]:
    try:
        ignored = _ignored(listed.rules)
    except TrainyardError as error:
        return {"names": [], "message": f"{error.message}. {error.hint}"}
    return {"names": [name for name in listed.names if not ignored.leaves_out(name.rstrip("/"), name.endswith("/"))]}


# A folder is asked for part by part.
@lru_cache(maxsize=8)
def _ignored(rules: str) -> Ignored:
    return Ignored.of_text(rules)


def _checked(service: Service, who: Caller, draft: Draft) -> dict[str, Any]:
    if not draft.manifest.strip():
        return {"problems": [], "empty": True}
    try:
        limits = service.limits()
        grid = read_grid(draft.settings)
        account = account_for(who, draft.account or None, limits)
        earlier = service.training_of(draft.earlier, who) if draft.earlier else None
        rules = service.registration.rules(limits, who, account, earlier)
        manifests = [("", draft.manifest.encode("utf-8", "replace"))]
        (found,) = check_submission(manifests, None, account, rules, lambda read, plan: _described(read, plan, grid))
    except TrainyardError as error:
        problems = [problem.as_dict() for problem in error.problems]
        return {"problems": problems or [{"message": f"{error.message}.", "hint": error.hint, "code": error.code.code}]}
    return {"problems": [], **found}


def _described(read: ManifestRead, plan: Plan, grid: Grid) -> dict[str, Any]:
    spec = read.submission.spec
    runs = spec.search.trials if spec.search else len(grid.points(spec))
    return {
        "name": spec.name,
        "framework": str(spec.framework),
        "size": spec.resources.size,
        "plan": {key: asdict(plan)[key] for key in ("learners", "gpus", "cpu_millis", "memory", "image")},
        "hyperparameters": dict(spec.hyperparameters),
        "warnings": list(read.submission.warnings),
        "runs": runs,
    }
