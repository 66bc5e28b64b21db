"""The page of a search: how far it is, its best trials, how values led to the metric, and what matters."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from trainyard.core.searching import Searching, SearchSeen
from trainyard.web.parallel import axes_of, lines_of
from trainyard.web.rendering import caller, page
from trainyard.web.scatter import history, slices

router = APIRouter()
_MAX_BEST = 10
_MAX_LINES = 100


@router.get("/searches/{name:path}", response_class=HTMLResponse)
def search(request: Request, name: str) -> HTMLResponse:
    """Show a search by its experiment, or by the model id of any of its trials."""
    searching: Searching = request.app.state.searching
    seen = searching.seen(name, caller(request))
    return page(request, "search.html", seen=seen, **_values(seen))


def _values(seen: SearchSeen) -> dict[str, Any]:
    counted = sorted((trial for trial in seen.trials if trial.counts), key=lambda trial: trial.value or 0.0)
    best = counted[::-1] if seen.search.goal == "maximize" else counted
    shown = best[:_MAX_LINES]
    axes = axes_of([trial.point for trial in shown], [{seen.search.metric: trial.value} for trial in shown])
    states = [trial.state.value for trial in seen.trials]
    importances = seen.importances()
    return {
        "best": best[:_MAX_BEST],
        "names": [*importances, *(name for name in seen.search.names if name not in importances)],
        "counts": {state: states.count(state) for state in dict.fromkeys(states)},
        "hours": sum(trial.gpu_seconds for trial in seen.trials) / 3600,
        "history": history(seen.trials, seen.search.goal),
        "slices": slices(seen.trials, [*importances, *(n for n in seen.search.names if n not in importances)]),
        "axes": axes,
        "lines": lines_of(axes),
        "importances": importances,
    }
