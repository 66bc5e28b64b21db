"""/v3/housekeeping: remove what is past its retention, or say what would go."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from trainyard.api.answers import refusals
from trainyard.api.auth import CallerDep
from trainyard.retention import Housekeeper

router = APIRouter()


class Sweep(BaseModel):
    """How to sweep; a dry run removes nothing."""

    dry_run: bool = False


@router.post("/housekeeping", summary="Remove what is past its retention", responses=refusals(400, 403, 500))
def housekeeping(request: Request, caller: CallerDep, sweep: Sweep) -> dict[str, Any]:
    """Remove finished runs past their retention and what nobody needs any more. For admins; ask again while `left`."""
    keeper: Housekeeper = request.app.state.housekeeper
    return keeper.sweep(caller, sweep.dry_run).as_dict()
