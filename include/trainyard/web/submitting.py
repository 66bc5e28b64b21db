"""The page of a new training: a manifest that is checked while it is written, a zip, and what it will take."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse

from trainyard.core.accounts import Caller, account_for
from trainyard.core.addressbook import AddressBook
from trainyard.core.service import Service
from trainyard.domain.plan import Plan
from trainyard.errors import TrainyardError
from trainyard.manifest.grid import Grid, read_grid
from trainyard.manifest.reading import ManifestRead
from trainyard.manifest.submission import Rules, check_submission
from trainyard.web.rendering import caller, page

router = APIRouter()
# A hostile manifest takes a second of a processor; submissions have their own limit.
CHECKS_AT_ONCE = 2
_MAX_MANIFEST = 512 * 1024
_MAX_SETTINGS = 100
_MAX_TEXT = 2000


class Draft(BaseModel):
    """What somebody has written so far."""

    manifest: str = Field(max_length=_MAX_MANIFEST)
    account: str = Field("", max_length=200)
    settings: list[str] = Field(default_factory=list, max_length=_MAX_SETTINGS, alias="set")


def checks_limiter() -> CapacityLimiter:
    """Return what bounds how many drafts are checked at once."""
    return CapacityLimiter(CHECKS_AT_ONCE)


@router.get("/new", response_class=HTMLResponse)
def new(request: Request) -> HTMLResponse:
    """Show the form."""
    service: Service = request.app.state.service
    who, limits = caller(request), service.limits()
    accounts = list(limits.accounts.values()) if who.admin else limits.accounts_of(who.name)
    return page(
        request,
        "new.html",
        accounts=accounts,
        sizes=sorted(limits.sizes.values(), key=lambda size: (size.gpus, size.cpu_millis, size.memory)),
        frameworks=limits.frameworks,
    )


@router.post("/new/check")
async def check(request: Request, draft: Draft) -> dict[str, Any]:
    """Check a draft as the front door will, but for the zip; report all faults, and what it would take."""
    for text in draft.settings:
        if len(text) > _MAX_TEXT:
            raise TrainyardError("C110", "a value to set is too long", "Put it into the manifest.")
    service, who = request.app.state.service, caller(request)
    return await to_thread.run_sync(lambda: _checked(service, who, draft), limiter=request.app.state.checking)


def _checked(service: Service, who: Caller, draft: Draft) -> dict[str, Any]:
    if not draft.manifest.strip():
        return {"problems": [], "empty": True}
    try:
        limits = service.limits()
        grid = read_grid(draft.settings)
        account = account_for(who, draft.account or None, limits)
        names = AddressBook.beside(service.catalogue).names(who.name, account.name)
        rules = Rules.of(service.settings, limits, names=names)
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
