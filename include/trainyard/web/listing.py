"""The first page: what the accounts own and use, and the runs there are, filtered, in order, page by page."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse

from trainyard.core.quota import DAYS, Usage
from trainyard.core.runs import Key
from trainyard.core.service import Service
from trainyard.domain.metricrules import is_better_small
from trainyard.domain.states import State
from trainyard.web.asked import Asked
from trainyard.web.differing import common, differing
from trainyard.web.rendering import caller, page
from trainyard.web.rows import Row, rows_of

router = APIRouter()
A_PAGE = 50
_MAX_GROUPS = 10
_MAX_OF_GROUPS = 300
_MAX_TEXT = 200
_ORDERS = {
    Key.SUBMITTED: "submitted",
    Key.STARTED: "started",
    Key.ENDED: "ended",
    Key.DURATION: "time",
    Key.STATE: "state",
    Key.NAME: "name",
    Key.EXPERIMENT: "experiment",
    Key.OWNER: "owner",
    Key.ACCOUNT: "account",
    Key.FRAMEWORK: "framework",
    Key.GPUS: "GPUs",
}


@router.get("/", response_class=HTMLResponse)
def trainings(
    request: Request,
    q: Annotated[str, Query(max_length=_MAX_TEXT)] = "",
    experiment: Annotated[str, Query(max_length=_MAX_TEXT)] = "",
    account: Annotated[str, Query(max_length=_MAX_TEXT)] = "",
    owner: Annotated[str, Query(max_length=_MAX_TEXT)] = "",
    framework: Annotated[str, Query(max_length=_MAX_TEXT)] = "",
    state: Annotated[list[State | str] | None, Query(max_length=8)] = None,
    today: bool = False,
    deleted: bool = False,
    sort: Key = Key.SUBMITTED,
    up: Annotated[Literal["", "0", "1", "true", "false"], Query()] = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    part: Annotated[str, Query(max_length=10)] = "",
) -> HTMLResponse:
    """Show the runs that the caller may see; `part=live` is what changes of the page alone."""
    chosen = tuple(dict.fromkeys(one for one in state or () if one in set(State)))
    rising = up in ("1", "true")
    asked = Asked(q.strip(), experiment, account, owner, framework, chosen, today, sort, rising, page, deleted)
    return _shown(request, asked, "live.html" if part == "live" else "trainings.html")


def _shown(request: Request, asked: Asked, template: str) -> HTMLResponse:
    service: Service = request.app.state.service
    who, now = caller(request), time.time()
    found, total = service.runs(who, A_PAGE, (asked.page - 1) * A_PAGE, asked.filter(now), asked.order)
    rows = rows_of(request, found)
    limits = service.limits()
    accounts = list(limits.accounts) if who.admin else [account.name for account in limits.accounts_of(who.name)]
    return page(
        request,
        template,
        asked=asked,
        rows=rows,
        total=total,
        first=(asked.page - 1) * A_PAGE + 1,
        last_page=max(1, -(-total // A_PAGE)),
        varied=differing([row.hyperparameters for row in rows]) if asked.experiment else [],
        metrics=common([row.metrics for row in rows]),
        accounts=accounts,
        states=[state.value for state in State],
        strip=_strip(request.app.state.quotas.of(who)),
        orders=[(key.value, label) for key, label in _ORDERS.items()],
        days=DAYS,
    )


def _strip(usages: Sequence[Usage]) -> dict[str, Any]:
    """Add up what the caller's accounts own and use."""
    return {
        "gpus": sum(usage.gpus for usage in usages),
        "used": sum(usage.used for usage in usages),
        "waiting_runs": sum(usage.waiting_runs for usage in usages),
        "waiting_gpus": sum(usage.waiting_gpus for usage in usages),
        "hours": sum(usage.gpu_hours for usage in usages),
    }


@router.get("/experiments", response_class=HTMLResponse)
def experiments(request: Request, page_number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1) -> Any:
    """Show the experiments, the one with the newest training first: how many runs, how they ended, the best values."""
    service: Service = request.app.state.service
    who = caller(request)
    there = service.experiments(who)
    names = list(there)[(page_number - 1) * _MAX_GROUPS : page_number * _MAX_GROUPS]
    trainings = {training: name for name in names for training in there[name]}
    rows = rows_of(request, service.runs_of(who, trainings, _MAX_OF_GROUPS))
    groups = {name: [row for row in rows if row.run.experiment == name] for name in names}
    return page(
        request,
        "experiments.html",
        groups=[_group(name, of_it, searched=_searched(service, there[name])) for name, of_it in groups.items()],
        page_number=page_number,
        last_page=max(1, -(-len(there) // _MAX_GROUPS)),
        total=len(there),
        cut=len(rows) == _MAX_OF_GROUPS,
        most=_MAX_OF_GROUPS,
    )


def _group(name: str, rows: Sequence[Row], *, searched: bool) -> dict[str, Any]:
    states = {state.value: sum(row.run.state is state for row in rows) for state in State}
    return {
        "name": name,
        "count": len(rows),
        "states": {state: count for state, count in states.items() if count},
        "ended": sum(row.run.state.terminal for row in rows),
        "best": [_best(metric, rows) for metric in common([row.metrics for row in rows])],
        "newest": max((row.run.submitted_at for row in rows), default=None),
        "ids": [row.run.model_id for row in rows[:20]],
        "search": name if searched else "",
    }


def _searched(service: Service, trainings: Iterable[str]) -> bool:
    records = map(service.catalogue.get, trainings)
    return any(record.spec.search for record in records if record)


def _best(metric: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the best value of a metric, and whose it is."""
    having = [row for row in rows if metric in row.metrics]
    small = is_better_small(metric)
    best = (min if small else max)(having, key=lambda row: row.metrics[metric])
    return {"name": metric, "value": best.metrics[metric], "run": best.run, "small": small}


@router.get("/dags/{dag_id}", response_class=HTMLResponse)
def of_dag(request: Request, dag_id: str) -> Any:
    """Show the runs of one training, which Airflow shows as a tab of its DAG; of a single run, that run."""
    service: Service = request.app.state.service
    runs = service.runs_of(caller(request), [dag_id], A_PAGE)
    root = request.scope.get("root_path", "")
    if len(runs) == 1:
        return RedirectResponse(f"{root}/runs/{runs[0].model_id}", 302)
    rows = rows_of(request, runs)
    varied, metrics = differing([row.hyperparameters for row in rows]), common([row.metrics for row in rows])
    return page(request, "dag.html", dag_id=dag_id, rows=rows, varied=varied, metrics=metrics)
