"""What the accounts own, use and wait for; and for admins, how the service is."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from trainyard.core.accounts import only_admins
from trainyard.core.audit.event import Action
from trainyard.core.quota import DAYS
from trainyard.core.runs import Filter, Order, Run
from trainyard.core.service import Service
from trainyard.doctor.checks import Wishes
from trainyard.domain.finding import OK, WARN, WRONG, Finding
from trainyard.domain.states import State
from trainyard.web.rendering import caller, page
from trainyard.web.rows import rows_of

router = APIRouter()
_MAX_WAITING = 200
_MAX_ASKED = 10
_PROBE_SECONDS = 60.0


@router.get("/quota", response_class=HTMLResponse)
def quota(request: Request) -> HTMLResponse:
    """Show the caller's accounts, and the runs of theirs that wait, in the order of their submission."""
    service: Service = request.app.state.service
    who = caller(request)
    waiting, total = service.runs(who, _MAX_WAITING, 0, Filter(frozenset({State.PENDING})), Order())
    limits = service.limits()
    rows = rows_of(request, waiting)
    values: dict[str, Any] = {
        "usages": request.app.state.quotas.of(who),
        "limits": limits,
        "rows": rows,
        "reasons": {row.run.model_id: _reason(service, row.run, at) for at, row in enumerate(rows)},
        "total": total,
        "days": DAYS,
    }
    return page(request, "quota.html", **values)


def _reason(service: Service, run: Run, at: int) -> str:
    """Say what a run waits for; the cluster is asked for the first ones alone, one by one."""
    return service.waiting(run) if at < _MAX_ASKED else run.waiting


@router.get("/health", response_class=HTMLResponse)
def health(request: Request) -> HTMLResponse:
    """Show admins the page that looks after the installation when they ask for it."""
    only_admins(caller(request), "looks after the service")
    return page(request, "health.html", findings=None, took=0.0)


@router.post("/health", response_class=HTMLResponse)
def look(request: Request) -> HTMLResponse:
    """Check the installation, as `trainyard doctor` does, and show what was found; what is wrong first."""
    with request.app.state.trail.audit.action(caller(request), Action.DOCTOR):
        only_admins(caller(request), "looks after the service")
    began = time.monotonic()
    found: list[Finding] = list(request.app.state.doctor(Wishes(wait_seconds=_PROBE_SECONDS)))
    ranks = {WRONG: 0, WARN: 1, OK: 2}
    ordered = sorted(found, key=lambda finding: ranks.get(finding.state, 0))
    return page(request, "health.html", findings=ordered, took=time.monotonic() - began)
