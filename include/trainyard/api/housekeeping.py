"""/v3/housekeeping: remove what is past its retention, or say what would go; say whose run is going."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from trainyard.answers.service import Owners as OwnersAnswer
from trainyard.answers.service import SweepReport
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.core.maintenance.owners import Owners
from trainyard.core.maintenance.retention import Housekeeper
from trainyard.domain.names import RunKey

router = APIRouter()


class Sweep(BaseModel):
    """How to sweep; a dry run removes nothing."""

    dry_run: bool = False


class Asked(BaseModel):
    """Runs to be asked about, each by its training and its model id."""

    runs: list[RunKey] = Field(max_length=1000)


@router.post(
    "/housekeeping/owners",
    summary="Say which runs are going",
    **answers(OwnersAnswer),
    responses=refusals(400, 403, 500),
)
def owners(request: Request, caller: CallerDep, asked: Asked) -> dict[str, Any]:
    """Say of each run whether it is going, is over (and since when) or is unknown. For admins; for the janitor."""
    found: Owners = request.app.state.owners
    return {"runs": found.of(caller, asked.runs)}


@router.post(
    "/housekeeping",
    summary="Remove what is past its retention",
    **answers(SweepReport),
    responses=refusals(400, 403, 500),
)
def housekeeping(request: Request, caller: CallerDep, sweep: Sweep) -> dict[str, Any]:
    """Remove finished runs past their retention and what nobody needs any more. For admins; ask again while `left`."""
    keeper: Housekeeper = request.app.state.housekeeper
    return keeper.sweep(caller, sweep.dry_run).as_dict()
