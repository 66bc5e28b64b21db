"""The composition root: settings in, parts out. Nothing else builds a part from a setting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from trainyard.catalogue import Catalogue, Training
from trainyard.domain.limits import Limits
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
    from trainyard.intake.limits import load_limits

    return load_limits(*(path for path, _ in files))


def _results_of(training: Training, settings: Any) -> Any:
    """Open a training's results bucket inside the api-server, where somebody waits for what it answers."""
    from trainyard.airflow.connections import served_credentials
    from trainyard.domain.names import results_connection
    from trainyard.stores.opening import open_store

    seconds = settings.store_answer_seconds
    hasty = replace(settings, store_call_seconds=seconds, store_listing_seconds=seconds)
    return open_store(training.spec.results, served_credentials(results_connection(training.id)), hasty)


def follow_quotas(limits: Callable[[], Limits], prepare_pools: Callable[[Limits], None]) -> Callable[[], Limits]:
    """Return `limits` such that the pools follow the files: at the first look, and whenever these have changed."""
    seen: Limits | None = None

    def look() -> Limits:
        nonlocal seen
        found = limits()
        if found is not seen:
            prepare_pools(found)
            seen = found
        return found

    return look


def quotas_of(service: Any) -> Any:
    """Build what tells the accounts' usage, over the service's own parts."""
    from trainyard.airflow.usage import AirflowUsage
    from trainyard.quota import Quotas

    usage = AirflowUsage(service.catalogue, _started(service.settings), service.clock)
    return Quotas(service.limits, usage.shares, service.prepare_pools, service.clock)


def datasets_of(service: Any) -> Any:
    """Build what tells of the dataset cache, over the service's own parts."""
    from trainyard.datasets import Datasets
    from trainyard.workspace.datasets import DatasetCache

    cache = DatasetCache(Workspace(Path(service.settings.workspace)))
    return Datasets(service.catalogue, service.limits, cache.cached)


def housekeeper_of(service: Any) -> Any:
    """Build what keeps house, over the service's own parts."""
    from trainyard.airflow.leftovers import AirflowLeftovers
    from trainyard.retention import Housekeeper
    from trainyard.workspace.datasets import DatasetCache

    workspace = Workspace(Path(service.settings.workspace))
    cache = DatasetCache(workspace)
    return Housekeeper(service, AirflowLeftovers(), service.vault.ids, workspace.run_ids, cache.evict)


def owners_of(service: Any) -> Any:
    """Build what tells whose run is going, over the service's own parts."""
    from trainyard.airflow.leftovers import AirflowLeftovers
    from trainyard.owners import Owners

    return Owners(AirflowLeftovers(), service.catalogue.ids)


def retraining_of(service: Any) -> Any:
    """Build what trains on schedule, over the service's own parts."""
    from trainyard.airflow.scheduledruns import AirflowScheduledRuns
    from trainyard.retraining import Retraining

    return Retraining(
        catalogue=service.catalogue,
        schedules=service.schedules,
        runs=AirflowScheduledRuns(),
        limits=service.limits,
        clock=service.clock,
        late_seconds=service.settings.schedule_late_seconds,
    )


def _started(settings: Any) -> Callable[[str], float | None]:
    from trainyard.workspace.marks import started_at

    workspace = Workspace(Path(settings.workspace))
    return lambda model_id: started_at(workspace.run(model_id))


def service_of(settings: Any) -> Any:
    """Build the service as the api-server runs it, over Airflow's database."""
    from trainyard.airflow.connections import ConnectionVault
    from trainyard.airflow.history import AirflowHistory
    from trainyard.airflow.podwaits import PodWaits
    from trainyard.airflow.pools import prepare_pools
    from trainyard.service import Service
    from trainyard.steps.cleanup import forget
    from trainyard.workspace.transfers import transfer_of

    workspace = Workspace(Path(settings.workspace))
    catalogue = catalogue_of(settings)

    def pools(limits: Limits) -> None:
        prepare_pools(limits, settings.staging_slots, settings.cpu_slots)

    return Service(
        catalogue=catalogue,
        vault=ConnectionVault(),
        history=AirflowHistory(catalogue, _started(settings)),
        limits=follow_quotas(partial(limits_of, settings), pools),
        settings=settings,
        clock=time.time,
        prepare_pools=pools,
        forget_files=lambda model_id: forget(model_id, workspace),
        results_of=partial(_results_of, settings=settings),
        pod_waits=PodWaits(settings.kubernetes_connection, settings.namespace),
        transfer_of=lambda model_id: transfer_of(workspace.run(model_id)),
    )
