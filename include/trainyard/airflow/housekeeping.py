"""The tasks of the housekeeping DAGs: they ask the front door, as the service's own user, and tell what it answers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainyard.answers.service import SweepReport

log = logging.getLogger(__name__)


def sweep(dry_run: bool) -> dict[str, Any]:
    """Remove what is past its retention, batch by batch; return all that went. Raise when something could not go."""
    from trainyard.airflow.frontdoor import front_door

    with front_door() as service:
        report = _tell(service.sweep(dry_run))
        while report["left"] and report["last_batch"]:
            report = _together(report, _tell(service.sweep(dry_run)))
    if report["failed"]:
        raise RuntimeError(f"{len(report['failed'])} things could not be removed; the log above names them")
    return report


def sync_quotas() -> list[dict[str, Any]]:
    """Sync the pools with quotas.yaml; return what the accounts own and use."""
    from trainyard.airflow.frontdoor import front_door

    with front_door() as service:
        accounts = [account.as_data() for account in service.sync_quota()]
    for account in accounts:
        log.info("%(account)s: %(used)s of %(gpus)s GPUs used, %(waiting_gpus)s waited for", account)
    return accounts


def _tell(swept: SweepReport) -> dict[str, Any]:
    report = swept.as_data()
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
