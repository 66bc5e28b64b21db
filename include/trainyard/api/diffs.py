"""/v3/models/ID/diff/OTHER: what differs between two runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request

from trainyard.answers.diffs import RunsDiff
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.core.codediff import FileDiff
from trainyard.core.differing import Changed, differing

router = APIRouter()


@router.get(
    "/models/{model_id}/diff/{other}",
    summary="Compare two runs",
    **answers(RunsDiff),
    responses=refusals(404),
)
async def diff(request: Request, caller: CallerDep, model_id: str, other: str) -> dict[str, Any]:
    """Show what differs between two runs: values, manifests, programs, what they were made of and what became of them.

    Of the programs the first 50 files that differ are shown, large and binary ones by size and digest.
    """
    arguments = (request.app.state.service, model_id, other, caller)
    # Zips are read and compared, which takes a processor up to seconds: other requests have threads left.
    found = await to_thread.run_sync(differing, *arguments, limiter=request.app.state.comparing)
    parts: dict[str, Any] = {
        "hyperparameters": _values(found.hyperparameters),
        "manifest": list(found.manifest),
        "files": None if found.files is None else [_file(file) for file in found.files],
        "origin": _values(found.origin),
        "outcome": _values(found.outcome),
        "metrics": _values(found.metrics),
    }
    same = found.files is not None and not any(parts.values())
    return {"first": found.first.model_id, "second": found.second.model_id, "same": same, **parts}


def _values(changed: Iterable[Changed]) -> list[dict[str, Any]]:
    return [asdict(each) for each in changed]


def _file(file: FileDiff) -> dict[str, Any]:
    versions = {"first": file.before, "second": file.after}
    shown = {side: {"size": seen[0], "sha256": seen[1]} if seen else None for side, seen in versions.items()}
    return {"name": file.name, "what": file.what, "lines": list(file.lines), **shown}
