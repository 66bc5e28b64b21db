"""The composition root: settings in, parts out. Nothing else builds a part from a setting."""

from __future__ import annotations

import time
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from trainyard.catalogue import Catalogue
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


def service_of(settings: Any) -> Any:
    """Build the service as the api-server runs it, over Airflow's database."""
    from trainyard.airflow.connections import ConnectionVault
    from trainyard.airflow.history import AirflowHistory
    from trainyard.airflow.pools import prepare_pools
    from trainyard.service import Service
    from trainyard.steps.cleanup import forget
    from trainyard.workspace.marks import started_at

    workspace = Workspace(Path(settings.workspace))
    catalogue = catalogue_of(settings)
    return Service(
        catalogue=catalogue,
        vault=ConnectionVault(),
        history=AirflowHistory(catalogue, lambda model_id: started_at(workspace.run(model_id))),
        limits=partial(limits_of, settings),
        settings=settings,
        clock=time.time,
        prepare_pools=lambda limits: prepare_pools(limits, settings.staging_slots, settings.cpu_slots),
        forget_files=lambda model_id: forget(model_id, workspace),
    )
