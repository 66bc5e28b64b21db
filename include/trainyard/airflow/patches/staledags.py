"""Let the dag-processor outlive DAGs that another process deletes while it looks for removed files.

Seen on Airflow 3.3.2: housekeeping deletes the DAGs of trainings while the manager marks the same ones as stale; its
UPDATE then finds fewer rows than it had read (StaleDataError). Without the patch the whole dag-processor ends.
"""

from __future__ import annotations

import functools
from typing import Any

from trainyard.airflow.patches import expect


def install() -> None:
    """Pass over such DAGs until the manager's next look, which is right; a second time is harmless."""
    from airflow.dag_processing.manager import DagFileProcessorManager

    as_usual = expect(DagFileProcessorManager, "deactivate_deleted_dags", "self")
    if hasattr(as_usual, "__wrapped__"):
        return

    @functools.wraps(as_usual)
    def tolerant(self: Any, *args: Any, **kwargs: Any) -> None:
        from sqlalchemy.orm.exc import StaleDataError

        try:
            as_usual(self, *args, **kwargs)
        except StaleDataError as error:
            self.log.warning("DAGs were deleted while they were looked at; they are looked at again: %s", error)

    DagFileProcessorManager.deactivate_deleted_dags = tolerant  # type: ignore[method-assign]
