"""Some runs side by side: what is different among them, their curves over each other, and how values led to metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from trainyard.core.codediff import FileDiff, program_differences
from trainyard.core.service import Service
from trainyard.errors import TrainyardError
from trainyard.web.parallel import axes_of, lines_of
from trainyard.web.rendering import caller, page
from trainyard.web.rows import Row, rows_of
from trainyard.web.words import duration, number

router = APIRouter()
MAX_RUNS = 20


@dataclass(frozen=True)
class Fact:
    """A line of the table: a value of each run, and whether they are all the same."""

    kind: str
    name: str
    values: tuple[str, ...]

    @property
    def same(self) -> bool:
        return len(set(self.values)) <= 1


@router.get("/compare", response_class=HTMLResponse)
def compare(
    request: Request,
    model_ids: Annotated[list[str] | None, Query(alias="id", max_length=100)] = None,
    everything: Annotated[bool, Query(alias="all")] = False,
) -> HTMLResponse:
    """Show 2 to 20 runs side by side; `all` with what is the same in all of them, too."""
    wanted = list(dict.fromkeys(model_ids or ()))
    if not 2 <= len(wanted) <= MAX_RUNS:
        raise TrainyardError(
            "C110", f"{len(wanted)} runs cannot be compared", f"Tick 2 to {MAX_RUNS} runs in the list."
        )
    service: Service = request.app.state.service
    who = caller(request)
    rows = rows_of(request, [service.run(model_id, who) for model_id in wanted])
    facts = _facts(request, rows)
    axes = axes_of([row.hyperparameters for row in rows], [row.metrics for row in rows])
    values: dict[str, Any] = {
        "rows": rows,
        "facts": facts if everything else [fact for fact in facts if not fact.same],
        "hidden": 0 if everything else sum(fact.same for fact in facts),
        "everything": everything,
        "ids": wanted,
        "names": json.dumps({row.run.model_id: row.run.name for row in rows}),
        "axes": axes,
        "lines": lines_of(axes),
        "code": _code(service, rows),
    }
    return page(request, "compare.html", **values)


def _facts(request: Request, rows: Sequence[Row]) -> list[Fact]:
    service: Service = request.app.state.service
    origins = [service.origin(row.run) for row in rows]
    return [
        *_of_maps("hyperparameter", [row.hyperparameters for row in rows]),
        *_of_maps("metric", [row.metrics for row in rows]),
        Fact("run", "framework", tuple(row.run.framework for row in rows)),
        Fact("run", "GPUs", tuple(str(row.run.gpus) for row in rows)),
        Fact("run", "learners", tuple(str(row.run.learners) for row in rows)),
        Fact("run", "account", tuple(row.run.account for row in rows)),
        Fact("run", "owner", tuple(row.owner for row in rows)),
        Fact("run", "time", tuple(duration(row.seconds) for row in rows)),
        Fact("made of", "image", tuple(str(origin.get("image", "")) for origin in origins)),
        Fact("made of", "data version", tuple(str(origin.get("data_version", "")) for origin in origins)),
        Fact("made of", "program", tuple(str(origin.get("zip_sha256", ""))[:12] for origin in origins)),
    ]


def _of_maps(kind: str, each: Sequence[Mapping[str, Any]]) -> list[Fact]:
    names = dict.fromkeys(name for values in each for name in values)
    return [
        Fact(kind, name, tuple(number(values[name]) if name in values else "" for values in each)) for name in names
    ]


def _code(service: Service, rows: Sequence[Row]) -> list[FileDiff] | None:
    """Return how the programs of two runs differ; None where there are more, or they are the same."""
    if len(rows) != 2:
        return None
    first, second = (row.run.training_id for row in rows)
    return program_differences(service.catalogue, first, second)
