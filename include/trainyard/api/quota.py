"""/v3/quota: what the accounts own and use, and the pools that hold them to it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from trainyard.answers.service import Quota
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.core.quota import DAYS, Quotas, Usage

router = APIRouter()


@router.get("/quota", summary="Show what the accounts own and use", **answers(Quota), responses=refusals(500))
def quota(request: Request, caller: CallerDep) -> dict[str, Any]:
    """Show the caller's accounts, an admin all: GPUs owned, used and waited for, GPU hours of the last 7 days."""
    quotas: Quotas = request.app.state.quotas
    return _answer(quotas.of(caller))


@router.post("/quota", summary="Sync the pools with quotas.yaml", **answers(Quota), responses=refusals(403, 500))
def sync(request: Request, caller: CallerDep) -> dict[str, Any]:
    """Make the accounts' pools as large as quotas.yaml says, and show the accounts. For admins and the DAG `quotas`."""
    quotas: Quotas = request.app.state.quotas
    return _answer(quotas.sync(caller))


def _answer(usages: list[Usage]) -> dict[str, Any]:
    return {"resources": [usage_json(usage) for usage in usages], "days": DAYS}


def usage_json(usage: Usage) -> dict[str, Any]:
    return {
        "account": usage.account,
        "gpus": usage.gpus,
        "used": usage.used,
        "waiting_runs": usage.waiting_runs,
        "waiting_gpus": usage.waiting_gpus,
        "gpu_hours": round(usage.gpu_hours, 4),
        "budget": _budget_json(usage),
    }


def _budget_json(usage: Usage) -> dict[str, Any] | None:
    if (budget := usage.budget) is None:
        return None
    used = round(usage.budget_used or 0.0, 4)
    return {"gpu_hours": budget.gpu_hours, "per": budget.per.value, "used": used}
