"""The tasks of the housekeeping DAGs: they ask the front door, as the service's own user, and tell what it answers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trainyard.airflow.inboxtask import FRONT_DOOR, address_of

log = logging.getLogger(__name__)

# The first sweep of a service that never kept house may take a minute for each of its batches.
_ANSWER_SECONDS = 600.0


def sweep(dry_run: bool) -> dict[str, Any]:
    """Remove what is past its retention, batch by batch; return all that went. Raise when something could not go."""
    with _front_door() as ask:
        report = _tell(ask("POST", "/v3/housekeeping", {"dry_run": dry_run}))
        while report["left"] and report["last_batch"]:
            more = _tell(ask("POST", "/v3/housekeeping", {"dry_run": dry_run}))
            report = _together(report, more)
    if report["failed"]:
        raise RuntimeError(f"{len(report['failed'])} things could not be removed; the log above names them")
    return report


def follow_quotas() -> list[dict[str, Any]]:
    """Bring the pools after quotas.yaml; return what the accounts own and use."""
    with _front_door() as ask:
        accounts: list[dict[str, Any]] = ask("GET", "/v3/quota", None)["resources"]
    for account in accounts:
        log.info("%(account)s: %(used)s of %(gpus)s GPUs used, %(waiting_gpus)s waited for", account)
    return accounts


def _tell(report: dict[str, Any]) -> dict[str, Any]:
    verb = "would remove" if report["dry_run"] else "removed"
    for kind in ("runs", "trainings", "datasets", "orphans", "own_runs"):
        for name in report[kind]:
            log.info("%s %s", verb, name if kind in ("orphans", "own_runs") else f"{kind[:-1]} {name}")
    for failure in report["failed"]:
        log.error("could not remove %(name)s: %(reason)s", failure)
    # A batch in which nothing went is the last: the same runs would fail again.
    return {**report, "last_batch": len(report["runs"])}


def _together(report: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    lists = {key: [*value, *more[key]] for key, value in report.items() if isinstance(value, list)}
    return {**more, **lists}


@contextmanager
def _front_door() -> Iterator[Any]:
    """Sign in with the connection `trainyard_front_door`; hand out what sends a method, a place and JSON data."""
    import httpx
    from airflow.sdk import BaseHook

    door = BaseHook.get_connection(FRONT_DOOR)
    with httpx.Client(base_url=address_of(door), timeout=_ANSWER_SECONDS) as http:
        token = _good(http.post("/auth/token", json={"username": door.login, "password": door.password}))
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield lambda method, place, data: _good(http.request(method, place, json=data))


def _good(answer: Any) -> dict[str, Any]:
    if not answer.is_success:
        raise RuntimeError(f"the front door answers {answer.status_code}: {answer.text[:500]}")
    found: dict[str, Any] = answer.json()
    return found
