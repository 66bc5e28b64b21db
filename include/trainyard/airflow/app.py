"""The composition root: settings in, parts out. Nothing else builds a part from a setting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from trainyard.core.accounts import SERVICE
from trainyard.core.audit.accountchanges import record_changes
from trainyard.core.audit.event import Action
from trainyard.core.audit.files import STDOUT, AuditFiles, append_to_stdout
from trainyard.core.audit.reading import Trail
from trainyard.core.audit.recording import Audit, Writer
from trainyard.core.catalogue import Catalogue, Training
from trainyard.domain.limits import Limits
from trainyard.domain.names import RunKey
from trainyard.workspace.layout import Workspace


def catalogue_of(settings: Any) -> Catalogue:
    return Catalogue(Path(settings.catalogue))


def limits_of(settings: Any) -> Limits:
    """Read frameworks, sizes and quotas; files that did not change since are not read again."""
    from trainyard.datafiles import data_file

    named = {"frameworks": settings.frameworks_file, "sizes": settings.sizes_file, "quotas": settings.quotas_file}
    paths = [Path(path) if path else data_file(f"config/{name}.yaml") for name, path in named.items()]
    return _limits(*((path, path.stat().st_mtime_ns) for path in paths))


@lru_cache(maxsize=4)
def _limits(*files: tuple[Path, int]) -> Limits:
    from trainyard.manifest.limits import load_limits

    return load_limits(*(path for path, _ in files))


def _results_of(training: Training, settings: Any) -> Any:
    """Open a training's results bucket inside the api-server, where somebody waits for what it answers."""
    from trainyard.airflow.connections import served_credentials
    from trainyard.domain.names import results_connection
    from trainyard.stores.opening import open_store

    seconds = settings.store_answer_seconds
    hasty = replace(settings, store_call_seconds=seconds, store_listing_seconds=seconds)
    return open_store(training.spec.results, served_credentials(results_connection(training.id)), hasty)


def audit_writer_of(settings: Any) -> Writer:
    """Return what writes the audit log, one for the whole process, which counts what it could not write."""
    folder = audit_folder_of(settings)
    return _audit_writer(folder, settings.audit_days, settings.audit_max_bytes)


@lru_cache(maxsize=4)
def _audit_writer(folder: Path | None, days: float, max_bytes: int) -> Writer:
    return Writer(append_to_stdout if folder is None else AuditFiles(folder, days, max_bytes).append)


def audit_folder_of(settings: Any) -> Path | None:
    """Return the folder of the audit log, None where it goes to standard output.

    By default it lies in the catalogue's: that is the one folder that all processes which record have in common.
    """
    if settings.audit_log == STDOUT:
        return None
    return Path(settings.audit_log) if settings.audit_log else Path(settings.catalogue) / ".audit"


def audit_of(settings: Any) -> Audit:
    """Build what use cases record through."""
    return Audit(audit_writer_of(settings).write)


def trail_of(service: Any) -> Trail:
    """Build what reads the audit log."""
    return Trail(audit_folder_of(service.settings), service.audit)


def follow_quotas(
    limits: Callable[[], Limits],
    prepare_pools: Callable[[Limits], None],
    changed: Callable[[Limits, Limits], None] = lambda _, __: None,
) -> Callable[[], Limits]:
    """Return `limits` such that the pools follow the files: at the first look, and whenever these have changed.

    `changed` hears of each change: what was there before, and what is now.
    """
    seen: Limits | None = None

    def look() -> Limits:
        nonlocal seen
        found = limits()
        if found is not seen:
            prepare_pools(found)
            before, seen = seen, found
            if before is not None:
                changed(before, found)
        return found

    return look


def quotas_of(service: Any) -> Any:
    """Build what tells the accounts' usage, over the service's own parts."""
    from trainyard.airflow.usage import AirflowUsage
    from trainyard.core.quota import Quotas

    usage = AirflowUsage(service.catalogue, _started(service.settings), service.clock)
    return Quotas(service.limits, usage.shares, service.prepare_pools, service.clock)


def datasets_of(service: Any) -> Any:
    """Build what tells of the dataset cache, over the service's own parts."""
    from trainyard.core.datasets import Datasets
    from trainyard.workspace.datasets import DatasetCache

    cache = DatasetCache(Workspace(Path(service.settings.workspace)))
    return Datasets(service.catalogue, service.limits, cache.cached)


def housekeeper_of(service: Any) -> Any:
    """Build what keeps house, over the service's own parts."""
    from trainyard.airflow.leftovers import AirflowLeftovers
    from trainyard.core.maintenance.retention import Housekeeper
    from trainyard.steps.cleanup import forget_training
    from trainyard.workspace.datasets import DatasetCache

    workspace = Workspace(Path(service.settings.workspace))
    cache = DatasetCache(workspace)
    forget_folder = partial(forget_training, workspace=workspace)
    return Housekeeper(service, AirflowLeftovers(), service.vault.ids, workspace, forget_folder, cache.evict)


def owners_of(service: Any) -> Any:
    """Build what tells whose run is going, over the service's own parts."""
    from trainyard.airflow.leftovers import AirflowLeftovers
    from trainyard.core.maintenance.owners import Owners

    return Owners(AirflowLeftovers(), service.catalogue.unbegun, service.audit)


def retraining_of(service: Any) -> Any:
    """Build what trains on schedule, over the service's own parts."""
    from trainyard.airflow.scheduledruns import AirflowScheduledRuns
    from trainyard.core.retraining import Retraining
    from trainyard.steps.stage import staged_version

    workspace = Workspace(Path(service.settings.workspace))
    return Retraining(
        catalogue=service.catalogue,
        schedules=service.schedules,
        runs=AirflowScheduledRuns(lambda run: staged_version(workspace.run(run)) if run.valid else None),
        limits=service.limits,
        clock=service.clock,
        late_seconds=service.settings.schedule_late_seconds,
        audit=service.audit,
    )


def _started(settings: Any) -> Callable[[RunKey], float | None]:
    from trainyard.workspace.marks import started_at

    workspace = Workspace(Path(settings.workspace))
    return lambda run: started_at(workspace.run(run)) if run.valid else None


def service_of(settings: Any) -> Any:
    """Build the service as the api-server runs it, over Airflow's database."""
    from trainyard.airflow.connections import ConnectionVault
    from trainyard.airflow.history import AirflowHistory
    from trainyard.airflow.podwaits import PodWaits
    from trainyard.airflow.pools import prepare_pools
    from trainyard.core.service import Service
    from trainyard.steps.cleanup import forget
    from trainyard.workspace.transfers import transfer_of

    workspace = Workspace(Path(settings.workspace))
    catalogue, audit = catalogue_of(settings), audit_of(settings)

    def pools(limits: Limits) -> None:
        for resized in prepare_pools(limits, settings):
            audit.record(SERVICE, Action.RESIZE_POOL, details=asdict(resized))

    return Service(
        catalogue=catalogue,
        vault=ConnectionVault(),
        history=AirflowHistory(catalogue, _started(settings)),
        limits=follow_quotas(partial(limits_of, settings), pools, partial(record_changes, audit)),
        settings=settings,
        clock=time.time,
        prepare_pools=pools,
        forget_files=lambda run: forget(run, workspace) if run.valid else None,
        results_of=partial(_results_of, settings=settings),
        pod_waits=PodWaits(settings.kubernetes_connection, settings.namespace),
        transfer_of=lambda run: transfer_of(workspace.run(run)) if run.valid else None,
        audit=audit,
    )
