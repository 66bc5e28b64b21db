"""/v3/datasets: what the dataset cache has."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from trainyard.answers.service import Datasets as DatasetPage
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.times import moment
from trainyard.core.datasets import Datasets
from trainyard.workspace.datasets import Cached

router = APIRouter()


@router.get("/datasets", summary="List the cached datasets", **answers(DatasetPage), responses=refusals(500))
def datasets(request: Request, caller: CallerDep) -> dict[str, Any]:
    """List the versions in the dataset cache whose bucket a training of the caller's accounts reads, an admin all."""
    known: Datasets = request.app.state.datasets
    found = known.of(caller)
    return {"resources": [dataset_json(each) for each in found], "total": len(found)}


def dataset_json(cached: Cached) -> dict[str, Any]:
    """Return a version as JSON data; how many runs use it, since which ones may be another account's to know."""
    return {
        "name": cached.place,
        "version": cached.version,
        "size": cached.bytes,
        "files": cached.files,
        "users": len(cached.users),
        "hits": cached.hits,
        "last_used": moment(cached.last_used),
    }
