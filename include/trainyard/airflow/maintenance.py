"""The tasks of the maintenance DAGs: retention, pools and orphans, each as the service's own user.

They ask the REST interface, which alone knows of trainings and runs; a task logs what it answers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from trainyard.airflow.app import App, current_app
from trainyard.airflow.failures import explained, fail
from trainyard.airflow.frontdoor import front_door
from trainyard.cluster.labels import run_of
from trainyard.cluster.podclient import TrainingPods
from trainyard.core.maintenance.orphans import OrphanReport, Remnant, remove_orphans
from trainyard.core.maintenance.owners import Owner
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.steps.cleanup import cleanup
from trainyard.workspace.traces import traces

if TYPE_CHECKING:
    from trainyard.answers.service import SweepReport
    from trainyard.client.rest import RestClient

log = logging.getLogger(__name__)
_MAX_ASKED = 500


@explained()
def sweep(dry_run: bool) -> dict[str, Any]:
    """Remove what is past its retention, batch by batch; return all that went. Fail when something could not go."""
    with front_door() as service:
        report = _log_sweep(service.sweep(dry_run))
        while report["left"] and report["last_batch"]:
            report = _joined(report, _log_sweep(service.sweep(dry_run)))
    if report["failed"]:
        fail(f"{len(report['failed'])} things could not be removed; the log above names them")
    return report


@explained()
def sync_quotas() -> list[dict[str, Any]]:
    """Sync the pools with quotas.yaml; return what the accounts own and use."""
    with front_door() as service:
        accounts = [account.as_data() for account in service.sync_quota()]
        _tell_waiting(service)
    for account in accounts:
        log.info("%(account)s: %(used)s of %(gpus)s GPUs used, %(waiting_gpus)s waited for", account)
    return accounts


def _tell_waiting(service: RestClient) -> None:
    """Notify people of runs that wait for too long; the pools follow the quotas whether that works or not."""
    try:
        if count := service.notify_waiting():
            log.info("%s notifications of runs that wait for too long, and of budgets", count)
    except TrainyardError as error:
        log.warning("Nobody is notified of runs that wait: %s", error.message)


def _log_sweep(swept: SweepReport) -> dict[str, Any]:
    report = swept.as_data()
    verb = "would remove" if report["dry_run"] else "removed"
    for kind in ("runs", "trainings", "datasets", "orphans", "own_runs"):
        for name in report[kind]:
            log.info("%s %s", verb, name if kind in ("orphans", "own_runs") else f"{kind[:-1]} {name}")
    for failure in report["failed"]:
        log.error("could not remove %(name)s: %(reason)s", failure)
    # A batch in which nothing went is the last: the same runs would fail again.
    return {**report, "last_batch": len(report["runs"])}


def _joined(report: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    lists = {key: [*value, *more[key]] for key, value in report.items() if isinstance(value, list)}
    return {**more, **lists}


@explained()
def remove_orphaned(dry_run: bool) -> dict[str, Any]:
    """Remove what no run owns any more; return what went. Fail when something could not go.

    Nothing goes unless cluster and front door both have answered: the first is asked first, so that whatever it
    lists was made by a run that the second knows by then.
    """
    app = current_app()
    things = list(_left(app))
    owners = _owners({left.run for left in things})
    report = remove_orphans(things, owners, time.time(), app.settings.janitor_grace_seconds, dry_run, app.audit)
    _log_orphans(report, len(things))
    if report.failed:
        fail(f"{len(report.failed)} things could not be removed; the log above names them")
    return report.as_dict()


def _left(app: App) -> Iterator[Remnant]:
    """Yield all that runs have on the cluster and, of those without a pod, in the workspace."""
    cluster, using = app.pods(), set()
    for pod in cluster.all(app.volume):
        using.add(run_of(pod["metadata"]["labels"]))
        if not _is_being_removed(pod, app.settings):
            yield _of_pod(pod, cluster, app.settings)
    for service in cluster.services(app.volume):
        if run := run_of(service["metadata"]["labels"]):
            made_at, name = _moment(service["metadata"]["creationTimestamp"]), service["metadata"]["name"]
            yield Remnant(run, f"service {name}", made_at, partial(cluster.remove_service, service))
    for run, made_at in traces(app.workspace).items():
        if run not in using:  # a pod reads them until it has ended: the next pass takes them
            yield Remnant(run, f"workspace {run.model_id}", made_at, partial(_clean, app, cluster, run))


def _clean(app: App, cluster: TrainingPods, run: RunKey) -> None:
    cluster.drop_secrets(run)
    cleanup(run, app.workspace)


def _remove(pod: dict[str, Any], cluster: TrainingPods, run: RunKey, grace: int) -> None:
    cluster.remove(pod, grace)
    cluster.drop_secrets(run)


def _of_pod(pod: dict[str, Any], cluster: TrainingPods, settings: Settings) -> Remnant:
    metadata = pod["metadata"]
    # One that stays although it was removed is on a node that no longer answers, which cannot end it gently.
    grace = 0 if metadata.get("deletionTimestamp") else settings.grace_seconds
    made_at, run = _moment(metadata["creationTimestamp"]), run_of(metadata["labels"])
    assert run is not None  # nothing else is listed
    return Remnant(run, f"pod {metadata['name']}", made_at, partial(_remove, pod, cluster, run, grace))


def _is_being_removed(pod: dict[str, Any], settings: Settings) -> bool:
    # The moment by which its grace period is over.
    deleted = pod["metadata"].get("deletionTimestamp")
    return bool(deleted) and time.time() - _moment(deleted) <= settings.janitor_grace_seconds


def _owners(runs: Iterable[RunKey]) -> dict[RunKey, Owner]:
    all_runs, found = sorted(runs), dict[RunKey, Owner]()
    if not all_runs:
        return {}
    with front_door() as service:
        for first in range(0, len(all_runs), _MAX_ASKED):
            part = all_runs[first : first + _MAX_ASKED]
            owners = zip(part, service.owners(part), strict=True)
            found.update((run, Owner(owner.state, owner.ended_at)) for run, owner in owners)
    return found


def _log_orphans(report: OrphanReport, seen: int) -> None:
    verb = "would remove" if report.dry_run else "removed"
    for gone in report.removed:
        log.info("%s %s: %s", verb, gone["name"], gone["reason"])
    for failure in report.failed:
        log.error("could not remove %(name)s: %(reason)s", failure)
    log.info("%s of %s things that runs have made are orphans", len(report.removed) + len(report.failed), seen)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
